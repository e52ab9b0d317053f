"""Showing what happens, for people: log lines of this package on the console."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

_NAMES = ("rails_engine", "colang")


def set_verbose(verbose: bool, level: int = logging.INFO) -> None:
    """Write the packages' log lines to standard error from now on, or stop doing so."""
    for name in _NAMES:
        logger = logging.getLogger(name)
        for handler in [handler for handler in logger.handlers if isinstance(handler, _Console)]:
            logger.removeHandler(handler)
        if verbose:
            logger.setLevel(level)
            logger.addHandler(_Console())


class _Console(logging.StreamHandler[TextIO]):
    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s", "%H:%M:%S"))


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
