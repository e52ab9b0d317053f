"""Messages to the events of Colang 1.0, and a turn's events to one reply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rails_engine.content_parts import flattened
from rails_engine.errors import InvalidRequestError
from rails_engine.options import read_options
from rails_engine.request import Request
from rails_engine.umim import EventDict
from rails_engine.values import value_class

ANSWERS: Final = frozenset({"assistant", "exception"})
"""Roles of messages that this engine gave out: each ends a turn."""

_QUOTED: Final = frozenset({"user", "system", "developer", "context"})
"""Roles of messages that prompts may quote without a flow having seen them."""

REMOVE_LAST: Final = "(remove last message)"


@value_class
class Inputs:
    """`past` is history that prompts quote and whose variables hold, but that flows do not see; `now` is answered.

    They stand for the messages from `known` on; with the one at `start` the turn begins.
    """

    past: list[EventDict]
    now: list[EventDict]
    known: int
    start: int


def inputs_of(request: Request, known: int) -> Inputs:
    """The events of `messages[known:]`: the last turn is what is asked, the messages before it are history.

    Raises:
        InvalidRequestError: a message is malformed.
    """
    messages = _asked(request)
    if len(messages) == known + 1 and messages[known].get("role") == "user":
        return Inputs([], [user_event(messages[known])], known, known)
    start = turn_start(messages, known)
    if start == len(messages):
        start = next((p for p in range(start - 1, -1, -1) if messages[p].get("role") == "user"), known)
    before, now = list(range(known, start)), list(range(start, len(messages)))
    answered = max((p for p in now if messages[p].get("role") == "user"), default=start)
    if any(messages[p].get("role") == "user" for p in range(start, answered)):
        # One of several messages of the user is answered; the others are quoted.
        before += [p for p in range(start, answered) if messages[p].get("role") in _QUOTED]
        now = [p for p in now if p not in before]
    past = [event for p in before for event in _past_events(messages[p], p)]
    return Inputs(past, _now_events([(p, messages[p]) for p in now]), known, start)


def turn_start(messages: Sequence[Mapping[str, Any]], known: int = 0) -> int:
    """The place behind the last answer; `known` where none comes after it."""
    start = len(messages)
    while start > known and messages[start - 1].get("role") not in ANSWERS:
        start -= 1
    return start


def only_checks_answer(request: Request) -> bool:
    """Whether the last message is an answer that is only to be checked."""
    if request.options is None or request.options.rails.dialog or not request.messages:
        return False
    return request.messages[-1].get("role") == "assistant"


def _asked(request: Request) -> Sequence[Mapping[str, Any]]:
    """The messages without an answer that is only to be checked."""
    if not only_checks_answer(request):
        return request.messages
    messages = list(request.messages[:-1])
    if not any(message.get("role") == "user" for message in messages):
        messages.append({"role": "user", "content": ""})
    return messages


def user_event(message: Mapping[str, Any]) -> EventDict:
    """What a user message is to the flows."""
    return {"type": "UtteranceUserActionFinished", "final_transcript": flattened(message.get("content"))}


def with_options_of_context(request: Request, events: Sequence[Mapping[str, Any]]) -> Request:
    """The request with what its context updates ask: `generation_options`, and a `bot_message` to be checked.

    Options that the caller gave as such come first. Callers in this process are trusted with both; who serves others
    refuses these keys at the door.

    Raises:
        ValueError: the options in the context are malformed (pydantic's ValidationError).
        TypeError: they are no mapping.
    """
    updates = [event.get("data") for event in events if event.get("type") == "ContextUpdate"]
    if not updates:
        return request if request.given is None else replace(request, given=None)
    context: dict[str, Any] = {}
    for data in updates:
        if isinstance(data, Mapping):
            context.update(data)
    given = context.get("bot_message")
    return replace(
        request,
        options=request.options or read_options(context.get("generation_options")),
        given=given if isinstance(given, str) else None,
    )


def _past_events(message: Mapping[str, Any], number: int) -> list[EventDict]:
    role, content = message.get("role"), message.get("content")
    if role == "user":
        return [
            user_event(message),
            {"type": "UserMessage", "text": flattened(content)},
        ]
    if role == "assistant":
        calls = message.get("tool_calls")
        # Tool-input rails hold results to the calls that were made.
        called: list[EventDict] = [{"type": "BotToolCalls", "tool_calls": calls}] if calls else []
        spoken = {"type": "StartUtteranceBotAction", "script": content or ""}
        return called if calls and not content else [spoken, *called]
    if role in {"system", "developer"}:
        return [{"type": "SystemMessage", "content": content}]
    if role == "context":
        return [_context_update(content, number)]
    event = message.get("event")
    if role == "event" and isinstance(event, Mapping) and event.get("type") == "ContextUpdate":
        return [_context_update(event.get("data"), number)]
    return []


def _context_update(data: Any, number: int) -> EventDict:
    return {"type": "ContextUpdate", "data": dict(_mapping(data, f"messages[{number}].content"))}


def _now_events(messages: Iterable[tuple[int, Mapping[str, Any]]]) -> list[EventDict]:
    events: list[EventDict] = []
    results: list[Mapping[str, Any]] = []
    for number, message in messages:
        role, content = message.get("role"), message.get("content")
        if role == "user":
            events.append(user_event(message))
        elif role == "context":
            events.append(_context_update(content, number))
        elif role == "event":
            events.append(dict(_mapping(message.get("event"), f"messages[{number}].event")))
        elif role in {"system", "developer"}:
            events.append({"type": "SystemMessage", "content": content})
        elif role == "tool":
            results.append(message)
    if results:
        events.append(
            {"type": "UserToolMessages", "tool_messages": [_tool_message(each) for each in results]}
        )
    return events


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{where} must be a mapping")
    return value


def _tool_message(message: Mapping[str, Any]) -> dict[str, Any]:
    return {key: message.get(key) for key in ("content", "name", "tool_call_id")}


@dataclass(slots=True)
class Reply:
    """What a turn came to; `text` is everything that was said, a line for each message."""

    text: str = ""
    exception: EventDict | None = None
    tool_calls: list[Any] = field(default_factory=list)
    reasoning: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it is a text and nothing else."""
        return self.exception is None and not self.reasoning and not self.tool_calls

    def message(self) -> dict[str, Any]:
        """The message without what stands beside it in a response."""
        if self.exception is not None:
            return {"role": "exception", "content": self.exception}
        return {"role": "assistant", "content": self.text}

    def as_message(self) -> dict[str, Any]:
        """All of it in one message: reasoning in front of the text, tool calls beside it."""
        message = self.message()
        if self.reasoning and self.exception is None:
            message["content"] = f"<think>{self.reasoning}</think>\n{self.text}"
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        return message

    def as_text(self) -> Any:
        """The answer to a prompt: a text, or the event of a rail that raised an exception."""
        return self.as_message()["content"]


def reply_of(events: Iterable[EventDict]) -> Reply:
    """The reply that a turn's new events amount to."""
    reply, said = Reply(), list[str]()
    for event in events:
        kind = event["type"]
        if kind == "StartUtteranceBotAction":
            script = str(event.get("script", ""))
            if script == REMOVE_LAST:
                del said[-1:]
            else:
                said.append(script)
        elif kind == "StartToolCallBotAction":
            reply.tool_calls = list(event.get("tool_calls") or ())
        elif kind == "BotThinking":
            reply.reasoning = reply.reasoning or str(event.get("content", ""))
        elif kind.endswith("Exception"):
            reply.exception = event
    reply.text = "\n".join(said)
    return reply
