"""Errors as a person at a command line sees them: a sentence and an exit status, never a traceback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer

USAGE: Final = 2
_log = logging.getLogger(__name__)


class UsageError(Exception):
    """The command line names something that does not exist or does not go together."""


def describe(error: BaseException) -> str:
    """One error in words; the type is named where the message alone would not be understood."""
    from colang import ColangError
    from rails_engine.errors import ConfigurationError, LLMCallException

    told = str(error).strip()
    if isinstance(error, ColangError | ConfigurationError | LLMCallException | UsageError | OSError):
        return told or type(error).__name__
    return f"{type(error).__name__}: {told}" if told else type(error).__name__


@contextmanager
def explained() -> Iterator[None]:
    """Turn whatever a command raises into a line on standard error and an exit status: 2 for usage, 1 else."""
    try:
        yield
    except (typer.Exit, typer.Abort, KeyboardInterrupt):
        raise
    except BrokenPipeError:
        _close_output()
    except Exception as error:  # noqa: BLE001 -- the rim: whatever failed, a person gets a sentence
        _log.debug("the command failed", exc_info=True)
        typer.echo(f"Error: {describe(error)}", err=True)
        raise typer.Exit(USAGE if isinstance(error, UsageError) else 1) from None


def _close_output() -> NoReturn:
    """The reader of our output went away (`| head`): there is nobody left to complain to."""
    sys.stderr.close()
    raise typer.Exit(0)
