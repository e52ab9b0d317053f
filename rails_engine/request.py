"""One call of `generate`, whatever the dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from rails_engine.errors import InvalidRequestError
from rails_engine.options import GenerationOptions, RailChoice
from rails_engine.state import State
from rails_engine.umim import EventDict
from rails_engine.values import value_class

Passthrough: TypeAlias = Callable[[Mapping[str, Any], list[EventDict]], Awaitable[Any]]
"""The context and the events to a text, to a text and what else came of it, or to a `Completion` with tool calls."""


@value_class
class Request:
    """What the caller says, what shall come back, and where the conversation stood.

    `as_text`: a prompt was given, the answer is a text. `state` is a conversation of Colang 2.x; `state_wanted` says
    that it came as a dictionary, so the answer brings the new one. `story` is a saved conversation of Colang 1.0.
    `given` is an answer that came in the context, to be checked where dialog rails are off. `passthrough` takes the main
    model's place in passthrough mode, for this one call. `raw` are the messages as the caller gave them, for users' code.
    """

    messages: Sequence[Mapping[str, Any]]
    options: GenerationOptions | None = None
    state: State | None = None
    story: Mapping[str, Any] | None = None
    as_text: bool = False
    state_wanted: bool = False
    given: str | None = None
    passthrough: Passthrough | None = None
    raw: Sequence[Mapping[str, Any]] = ()

    @property
    def wants_response(self) -> bool:
        """True where the caller gets a `GenerationResponse` rather than a text or a message."""
        return self.options is not None or self.state is not None or self.story is not None


def chosen(configured: Sequence[str], choice: RailChoice) -> list[str]:
    """The configured flows that a request wants: all, none, or those named, with or without parameters.

    Raises:
        InvalidRequestError: a name is not among them; to run fewer rails for a slip of the pen would fail open.
    """
    if choice is True:
        return [*configured]
    if choice is False:
        return []
    named = {" ".join(name.split()) for name in choice}
    unknown = named - {*configured, *map(_plain, configured)}
    if unknown:
        listed = ", ".join(repr(flow) for flow in configured) or "none"
        raise InvalidRequestError(f"options.rails names {min(unknown)!r}; of this kind are listed: {listed}")
    return [flow for flow in configured if flow in named or _plain(flow) in named] if choice else []


def _plain(reference: str) -> str:
    return reference.split("$", maxsplit=1)[0].split("(", maxsplit=1)[0].strip()
