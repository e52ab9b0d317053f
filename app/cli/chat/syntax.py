"""Reads `/EventName(key=value, ...)`, the line by which a user injects an event.

The arguments are Python literals. `/Action.Started(...)` is the long form of `/ActionStarted(...)`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Final

LONGEST: Final = 10_000


class EventSyntaxError(ValueError):
    """A line that begins with `/` is no event."""


@dataclass(frozen=True, slots=True)
class TypedEvent:
    """An event as it was typed."""

    name: str
    arguments: dict[str, Any]

    @property
    def action(self) -> str | None:
        """The action that the event is about, such as `TimerBotAction` for `TimerBotActionFinished`."""
        head, found, _ = self.name.partition("Action")
        return f"{head}Action" if found and not head.startswith(("Start", "Stop", "Change")) else None


def parse_event(text: str) -> TypedEvent:
    """The event that `text`, without its slash, stands for.

    Raises:
        EventSyntaxError: saying what is wrong and what would be right.
    """
    if len(text) > LONGEST:
        raise EventSyntaxError(
            f"This is no event: it has {len(text)} characters, and {LONGEST} are the limit."
        )
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the parser's ways to give up
        raise EventSyntaxError(f"This is no event: /{text}. {_HINT}") from error
    call = expression if isinstance(expression, ast.Call) else ast.Call(expression, [], [])
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise EventSyntaxError(f"The arguments of an event have names. {_HINT}")
    return TypedEvent(_name(call.func, text), {str(k.arg): _literal(k) for k in call.keywords})


_HINT = "Write it as /EventName(key=value) or /SomeAction.Finished(key=value)."


def _name(target: ast.expr, text: str) -> str:
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return f"{target.value.id}{target.attr}"
    if isinstance(target, ast.Name):
        return target.id
    raise EventSyntaxError(f"This is no event: /{text}. {_HINT}")


def _literal(keyword: ast.keyword) -> Any:
    try:
        return ast.literal_eval(keyword.value)
    except ValueError as error:
        written = ast.unparse(keyword.value)
        raise EventSyntaxError(
            f"{keyword.arg}={written} is not a literal; strings take quotes: {keyword.arg}={written!r}"
        ) from error
