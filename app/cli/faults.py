"""Errors as a person at a command line sees them: a sentence and an exit status, never a traceback."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NoReturn

import typer

from app.errors import UsageError

USAGE: Final = 2
_ROOMS: Final = frozenset({"app", "colang", "inference_backend", "rails_engine"})
_log = logging.getLogger(__name__)


def describe(error: BaseException) -> str:
    """One error in words: ours and the system's are written for people, of others the type is named too."""
    told, kind = str(error).strip(), type(error)
    if told and (isinstance(error, OSError) or kind.__module__.partition(".")[0] in _ROOMS):
        return told
    return f"{kind.__name__}: {told}" if told else kind.__name__


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
