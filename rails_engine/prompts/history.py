"""The past of a conversation as prompts quote it: from events to Colang's notation, or to chat messages.

Both dialects come as event dictionaries. In 1.0 a turn reads

    user "Hi"
      express greeting
    bot express greeting
      "Hello!"

and in 2.x each line of the interaction log is labelled: `user action: …`, `user intent: …`, `bot intent: …`,
`bot action: …`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, Literal, TypeAlias

from rails_engine.llm import Message, message_of
from rails_engine.values import value_class

Event: TypeAlias = Mapping[str, Any]
Role: TypeAlias = Literal["user", "assistant", "system"]

HIDDEN = "(hidden, because the assistant does not talk about it)"
TURN_STARTS = ("UserMessage", "UtteranceUserActionFinished", "UserActionLog")

_MASKS = "mask_prev_user_message"
_TYPE = itemgetter("type")
_SPOKEN: Mapping[Any, tuple[Role, str]] = {
    "UserMessage": ("user", "text"),
    "StartUtteranceBotAction": ("assistant", "script"),
    "SystemMessage": ("system", "content"),
}
"""Type of event to the role of who speaks, and where the text is."""

_LOG_LABELS = {
    "UserActionLog": "user action",
    "UserIntentLog": "user intent",
    "BotIntentLog": "bot intent",
    "BotActionLog": "bot action",
}


def as_colang(events: Sequence[Event]) -> str:
    """Events of either dialect in its notation."""
    shown = with_masks(events)
    if any(event.get("type") in _LOG_LABELS for event in shown):
        return as_log(shown)
    last_bot = max((i for i, event in enumerate(shown) if event.get("type") == "BotIntent"), default=-1)
    lines: list[str] = []
    for index, event in enumerate(shown):
        line = _LINES.get(str(event.get("type")))
        if line:
            lines += line(event)
        if index == last_bot and event.get("instructions"):
            lines[-1:] = [f"# {event['instructions']}", *lines[-1:]]
    return "".join(f"{line}\n" for line in lines)


def _user_message(event: Event) -> list[str]:
    return [f'user "{text_of(event.get("text"))}"']


def _user_intent(event: Event) -> list[str]:
    return [f"  {event.get('intent', '')}"]


def _bot_intent(event: Event) -> list[str]:
    return [f"bot {event.get('intent', '')}"]


def _bot_text(event: Event) -> list[str]:
    return [f'  "{event.get("script", "")}"']


def _action(event: Event) -> list[str]:
    return [] if event.get("is_system_action") else [f"execute {event.get('action_name', '')}"]


def _action_result(event: Event) -> list[str]:
    if event.get("is_system_action"):
        return []
    result = str(event.get("return_value")).replace("\n", " ")
    return [f"# The result was {result}"]


_LINES: Mapping[str, Callable[[Event], list[str]]] = {
    "UserMessage": _user_message,
    "UserIntent": _user_intent,
    "BotIntent": _bot_intent,
    "StartUtteranceBotAction": _bot_text,
    "StartInternalSystemAction": _action,
    "InternalSystemActionFinished": _action_result,
}


def as_log(events: Iterable[Event]) -> str:
    """The interaction log of Colang 2.x, an empty line before each user action but the first."""
    lines: list[str] = []
    for event in events:
        label = _LOG_LABELS.get(str(event.get("type")))
        if not label:
            continue
        if label == "user action" and lines:
            lines.append("")
        parameter = event.get("parameter")
        text = str(event.get("flow_id", ""))
        lines.append(f"{label}: {text}" if parameter is None else f'{label}: {text} "{parameter}"')
    return "".join(f"{line}\n" for line in lines)


def with_masks(events: Sequence[Event]) -> list[Event]:
    """The events with the masked user texts replaced.

    A turn that an action's failure took back stays: what was said was said, and only the flows forget it.
    """
    if not _has_masks(events):
        return list(events)
    shown: list[Event] = []
    for event in events:
        if event.get("type") == _MASKS:
            shown = _masked(shown)
        else:
            shown.append(event)
    return shown


def _has_masks(events: Sequence[Event]) -> bool:
    try:
        return _MASKS in map(_TYPE, events)
    except KeyError:  # templates bring what they like
        return any(event.get("type") == _MASKS for event in events)


def _masked(events: Sequence[Event]) -> list[Event]:
    result = list(events)
    for index in range(len(result) - 1, -1, -1):
        if result[index].get("type") == "UserMessage":
            result[index] = {**result[index], "text": HIDDEN}
            break
    return result


def text_of(content: Any) -> str:
    """The text of a message's content; of a multimodal one its text parts and a word for each image."""
    if not isinstance(content, list):
        return "" if content is None else str(content)
    parts = (part if isinstance(part, dict) else {"text": part} for part in content)
    return " ".join(str(part.get("text", "")) if "text" in part else "[image]" for part in parts)


class ChatLine(dict[str, Any]):
    """A chat message, and what models are sent for it."""

    __slots__ = ("message",)
    message: Message


def _line(role: Role, content: Any) -> ChatLine:
    line = ChatLine(role=role, content=content)
    if type(content) is str:
        line.message = Message(role, content)
    else:
        kept = content if isinstance(content, list) else text_of(content)
        line.message = message_of({"role": role, "content": kept})
    return line


@value_class
class Quoted:
    """Chat messages that stand for the first `count` events of a history."""

    count: int
    lines: tuple[ChatLine, ...]

    def without(self, events: Sequence[Event]) -> Quoted:
        """What is left where these events, with which the history began, are forgotten."""
        if len(events) >= self.count:
            return NOTHING_QUOTED
        gone = sum(event.get("type") in _SPOKEN for event in events)
        return Quoted(self.count - len(events), self.lines[gone:])


NOTHING_QUOTED: Final = Quoted(0, ())


class History(list[Any]):
    """The events of a conversation; chat messages that were made of the first of them are not made again.

    Whoever is given these messages must not change them: later turns quote them too.
    """

    __slots__ = ("quoted",)

    def __init__(self, events: Iterable[Event], quoted: Quoted = NOTHING_QUOTED) -> None:
        super().__init__(events)
        self.quoted = quoted

    def quote(self) -> Quoted | None:
        """The chat messages of all events so far; None where a text among them is to be masked."""
        quoted = self.quoted
        new = self[quoted.count :]
        if new:
            if _has_masks(new):
                return None
            lines = [
                _line(spoken[0], event.get(spoken[1]))
                for event in new
                if (spoken := _SPOKEN.get(event.get("type"))) is not None
            ]
            self.quoted = quoted = Quoted(len(self), (*quoted.lines, *lines))
        return quoted


def as_chat(events: Sequence[Event]) -> list[dict[str, Any]]:
    """User and bot texts as chat messages, in order; contents stay as they are, so images are kept."""
    quoted = events.quote() if isinstance(events, History) else None
    if quoted is not None:
        return list(quoted.lines)
    messages: list[dict[str, Any]] = []
    for event in with_masks(events):
        spoken = _SPOKEN.get(event.get("type"))
        if spoken is not None:
            messages.append({"role": spoken[0], "content": event.get(spoken[1])})
    return messages


def as_sequence(events: Sequence[Event]) -> str:
    """User and bot texts as lines `User: …` and `Assistant: …`."""
    names = {"user": "User", "assistant": "Assistant"}
    lines = [
        f"{names[message['role']]}: {text_of(message['content'])}"
        for message in as_chat(events)
        if message["role"] in names
    ]
    return "\n".join(lines)


def conversation_to_events(conversation: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events for turns given as mappings with any of `user`, `user_intent`, `bot`, `bot_intent`."""
    events: list[dict[str, Any]] = []
    for turn in conversation:
        if turn.get("user"):
            events.append({"type": "UtteranceUserActionFinished", "final_transcript": turn["user"]})
        if turn.get("user_intent"):
            events.append({"type": "UserIntent", "intent": turn["user_intent"]})
        if turn.get("bot"):
            events.append({"type": "StartUtteranceBotAction", "script": turn["bot"]})
        if turn.get("bot_intent"):
            events.append({"type": "BotIntent", "intent": turn["bot_intent"]})
    return events
