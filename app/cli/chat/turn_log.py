"""What `--verbose` shows of a turn: events in, model calls, events out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.cli.chat.values import Tone, UmimEvent
from app.cli.logs import Verbosity

HIDDEN = {"type", "uid", "event_created_at", "source_uid"}
HIDDEN_IN_SHORT = {*HIDDEN, "action_uid", "is_success"}
"""Where a line is short, what was said must be in it."""

WIDTH = 100


class ModelCall(Protocol):
    """The record of one model call, as `explain()` gives it."""

    task: str | None
    prompt: str | None
    completion: str | None
    duration: float | None
    total_tokens: int | None


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """What went in, which models were asked, and what came out."""

    told: Sequence[UmimEvent]
    calls: Sequence[ModelCall]
    outcome: Sequence[UmimEvent]


class TurnLog:
    """Shows turns as far as the user wants to see them."""

    def __init__(self, verbosity: Verbosity, show: Callable[[str, Tone], None]) -> None:
        self._verbosity = verbosity
        self._show = show

    def report(self, turn: TurnRecord) -> None:
        """Show a turn that has ended."""
        for line in lines(turn, self._verbosity):
            self._show(line, Tone.INSIDE)


def lines(turn: TurnRecord, verbosity: Verbosity) -> list[str]:
    """The turn in the order it went; polling for results is left out."""
    if not verbosity.inside:
        return []
    told = [event for event in turn.told if event["type"] != "CheckLocalAsync"]
    hidden = HIDDEN_IN_SHORT if verbosity.short else HIDDEN
    shown = [f"-> {_event(event, hidden)}" for event in told]
    for call in turn.calls:
        shown += _call(call, verbosity)
    shown += [f"<- {_event(event, hidden)}" for event in turn.outcome if event["type"] != "LocalAsyncCounter"]
    return [textwrap.shorten(line, WIDTH, placeholder=" ...") for line in shown] if verbosity.short else shown


def _event(event: UmimEvent, hidden: Collection[str]) -> str:
    arguments = ", ".join(f"{k}={_value(v)}" for k, v in event.items() if k not in hidden)
    return f"{event['type']}({arguments})"


def _value(value: Any) -> str:
    return textwrap.shorten(repr(value), 200, placeholder="...")


def _call(call: ModelCall, verbosity: Verbosity) -> Iterable[str]:
    tokens = "" if call.total_tokens is None else f", {call.total_tokens} tokens"
    yield f"-- model call for {call.task or 'an action'}: {call.duration or 0:.2f} s{tokens}"
    if verbosity.prompts and not verbosity.short:
        yield textwrap.indent(str(call.prompt or ""), "   | ")
        yield textwrap.indent(str(call.completion or ""), "   = ")
