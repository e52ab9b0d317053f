"""Showing what happens, for people: log lines of this package on the console."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

_NAMES = ("rails_engine", "colang")


def set_verbose(
    verbose: bool,
    llm_calls: bool = False,
    debug: bool = False,
    debug_level: str = "INFO",
    simplify: bool = False,
) -> None:
    """Write the packages' log lines to standard error from now on, or stop doing so.

    With `debug`, from `debug_level` on; `simplify` leaves out time and place. Prompts and answers (`llm_calls`) are in
    `explain()` and in the log of a response, and are never written here: they are what users said.
    """
    del llm_calls
    level = logging.getLevelNamesMapping().get(debug_level.upper(), logging.INFO) if debug else logging.INFO
    for name in _NAMES:
        logger = logging.getLogger(name)
        for handler in [handler for handler in logger.handlers if isinstance(handler, _Console)]:
            logger.removeHandler(handler)
        if verbose:
            logger.setLevel(level)
            logger.addHandler(_Console(simplify=simplify))


class _Console(logging.StreamHandler[TextIO]):
    def __init__(self, *, simplify: bool) -> None:
        super().__init__(sys.stderr)
        layout = "%(message)s" if simplify else "%(asctime)s %(name)s %(message)s"
        self.setFormatter(logging.Formatter(layout, "%H:%M:%S"))


def configure_logging(
    level: int = logging.INFO,
    formatter: logging.Formatter | None = None,
    handler: logging.Handler | None = None,
) -> logging.Logger:
    """Send the engine's log lines to `handler`, by default standard error, written by `formatter`."""
    logger = logging.getLogger(_NAMES[0])
    chosen = handler or logging.StreamHandler()
    chosen.setFormatter(
        formatter or logging.Formatter("%(asctime)s %(levelname)s: %(message)s", "%Y-%m-%d %H:%M:%S")
    )
    logger.addHandler(chosen)
    logger.setLevel(level)
    return logger
