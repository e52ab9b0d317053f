"""The transcript language of the chat: what the user does on the left, what comes of it on the right.

    chat = Chat()
    assert chat.types("!restart") == [("restart",), ("tell",)]

Commands are shortened to tuples of words, so that a failing test shows two lists that can be compared by eye.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from app.cli.chat.session import Session
from app.cli.chat.values import Command, Inspect, Leave, Restart, Show, Tell

Line = tuple[str, ...]


class Chat:
    """A session with a clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        numbers = itertools.count(1)
        self.session = Session(clock=lambda: self.now, uids=lambda: f"u{next(numbers)}")

    def types(self, line: str) -> list[Line]:
        return short(self.session.typed(line))

    def sends(self, name: str, **arguments: Any) -> list[Line]:
        """The conversation sends an event."""
        return short(self.session.happened({"type": name, **arguments}))

    def after(self, seconds: float) -> list[Line]:
        """Time passes, and the session is asked what is due."""
        self.now += seconds
        return short(self.session.tick())


def short(commands: Sequence[Command]) -> list[Line]:
    return [_short(command) for command in commands]


def _short(command: Command) -> Line:
    match command:
        case Show(text, tone):
            return (tone.value, text)
        case Tell(events):
            return ("tell", *(_event(dict(event)) for event in events))
        case Inspect(question):
            return ("inspect", question)
        case Restart():
            return ("restart",)
        case Leave():
            return ("leave",)


def _event(event: dict[str, Any]) -> str:
    name = event.pop("type")
    return f"{name}({', '.join(f'{k}={v!r}' for k, v in event.items())})"
