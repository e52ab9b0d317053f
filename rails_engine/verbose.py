"""Showing what happens, for people: log lines of this package on the console, and turns from the inside.

What turns say goes through a logger of its own, which is silent until `set_verbose` is called and hands nothing on: it is
what users said and models answered, and does not belong in the log of an application that only asked for its level.
"""

from __future__ import annotations

import logging
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final, TextIO

from rails_engine.trace import Trace

_NAMES: Final = ("rails_engine", "colang")
_HIDDEN: Final = frozenset({"type", "uid", "event_created_at", "source_uid"})
_WIDTH: Final = 120
"""Characters of a line where lines are short."""

_inside: Final = logging.getLogger("rails_engine.inside")
_inside.propagate = False


def set_verbose(
    verbose: bool,
    llm_calls: bool = False,
    debug: bool = False,
    debug_level: str = "INFO",
    simplify: bool = False,
) -> None:
    """Write the packages' log lines and what happens in each turn to standard error from now on, or stop doing so.

    With `llm_calls` prompts and answers too; with `debug` log lines from `debug_level` on; `simplify` leaves out time and
    place, and makes lines short.
    """
    level = logging.getLevelNamesMapping().get(debug_level.upper(), logging.INFO) if debug else logging.INFO
    for name in (*_NAMES, _inside.name):
        logger = logging.getLogger(name)
        for handler in [handler for handler in logger.handlers if isinstance(handler, _Console)]:
            logger.removeHandler(handler)
        if verbose:
            logger.setLevel(level)
            logger.addHandler(_Console(simplify=simplify, llm_calls=llm_calls))
    if verbose:
        _inside.setLevel(logging.INFO)


def is_verbose() -> bool:
    """Whether turns are to be shown."""
    return bool(_inside.handlers)


def show(trace: Trace) -> None:
    """Show a turn that has ended: its events, and the model calls that it took."""
    console = next((handler for handler in _inside.handlers if isinstance(handler, _Console)), None)
    if console is not None:
        for line in _lines(trace, llm_calls=console.llm_calls):
            short = textwrap.shorten(line, _WIDTH, placeholder=" ...") if console.simplify else line
            _inside.info("%s", short)


def _lines(trace: Trace, *, llm_calls: bool) -> Iterator[str]:
    for event in trace.events:
        yield f"event {event.get('type')}{_arguments(event)}"
    for call in trace.llm_calls:
        yield f"model call for {call.task or 'an action'} ({call.model_name}): {call.duration_s:.2f} s"
        if llm_calls:
            yield f"  prompt: {call.prompt_text}"
            yield f"  answer: {call.completion.text}"


def _arguments(event: Mapping[str, Any]) -> str:
    return "".join(f" {name}={value!r}" for name, value in event.items() if name not in _HIDDEN)


class _Console(logging.StreamHandler[TextIO]):
    def __init__(self, *, simplify: bool, llm_calls: bool) -> None:
        super().__init__(sys.stderr)
        self.simplify, self.llm_calls = simplify, llm_calls
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
