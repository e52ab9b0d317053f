"""How much of the inside is shown, and the log handler that shows it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.errors import UsageError

LEVELS: Final = ("WARNING", "INFO", "DEBUG")


@dataclass(frozen=True, slots=True)
class Verbosity:
    """What to show besides the conversation."""

    inside: bool = False
    """Events, actions and model calls of each turn."""
    prompts: bool = True
    """With `inside`: the text of prompts and completions."""
    short: bool = False
    """With `inside`: one short line for each thing."""
    level: str = "WARNING"
    """The least severe log message to show."""

    @classmethod
    def of(cls, *, verbose: bool, no_llm: bool, simplify: bool, levels: Sequence[str]) -> Verbosity:
        """From the options of the command line.

        Raises:
            UsageError: a level that does not exist.
        """
        wanted = [level.upper() for part in levels for level in part.split(",")]
        for level in wanted:
            if level not in LEVELS:
                raise UsageError(f"--debug-level {level}: choose one of {', '.join(LEVELS)}.")
        least = min(wanted, key=lambda name: logging.getLevelNamesMapping()[name], default="WARNING")
        inside = verbose or no_llm or simplify or least != "WARNING"
        return cls(inside=inside, prompts=not no_llm, short=simplify, level=least)


def set_up(verbosity: Verbosity) -> None:
    """Send log messages of our packages to standard error; those of libraries only from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    form = logging.Formatter if verbosity.level == "DEBUG" else _Brief
    handler.setFormatter(form("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(
        level=max(logging.WARNING, logging.getLevelNamesMapping()[verbosity.level]), handlers=[handler]
    )
    for package in ("app", "colang", "rails_engine", "nemoguardrails", "inference_backend"):
        logging.getLogger(package).setLevel(verbosity.level)


class _Brief(logging.Formatter):
    """What happened, without the traceback: that is shown where details are asked for."""

    def formatException(self, ei: object) -> str:  # noqa: N802 -- the name that logging calls
        del ei
        return ""
