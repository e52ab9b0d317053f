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
from itertools import compress
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from rails_engine.llm import Message, Past, message_of

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
    told = events.tell() if isinstance(events, History) else None
    if told is not None:
        return "".join(told)
    shown = with_masks(events)
    if any(event.get("type") in _LOG_LABELS for event in shown):
        return as_log(shown)
    last_bot = max((i for i, event in enumerate(shown) if event.get("type") == "BotIntent"), default=-1)
    return "".join([_told(event, instructed=index == last_bot) for index, event in enumerate(shown)])


def _told(event: Event, *, instructed: bool = False) -> str:
    """The lines of an event of 1.0; what the bot meant last may come with instructions."""
    line = _LINES.get(str(event.get("type")))
    if line is None:
        return ""
    lines = [f"# {event['instructions']}"] if instructed and event.get("instructions") else []
    return "".join([f"{each}\n" for each in [*lines, *line(event)]])


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
    """The interaction log of Colang 2.x: a line each, an empty one between what the user and what the bot does."""
    lines: list[str] = []
    last = ""
    for event in events:
        label = _LOG_LABELS.get(str(event.get("type")))
        if not label:
            continue
        if lines and _BELONGS_TO.get(label) != last:
            lines.append("")
        parameter = event.get("parameter")
        text = str(event.get("flow_id", ""))
        lines.append(f"{label}: {text}" if parameter is None else f'{label}: {text} "{parameter}"')
        last = label
    return "\n".join(lines)


_BELONGS_TO = {"user intent": "user action", "bot action": "bot intent"}
"""Which line a line of the log follows without a gap."""


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


def _message(role: Role, content: Any) -> Message:
    if type(content) is str:
        return Message(role, content)
    kept = content if isinstance(content, list) else text_of(content)
    return message_of({"role": role, "content": kept})


class Quoted:
    """What prompts have made of the beginning of a history; it grows with it, and belongs to one turn at a time.

    `past` has the chat messages that stand for the first `count` events, `told` a text in Colang's notation for each of the
    first events.
    """

    __slots__ = ("count", "past", "told")

    def __init__(self) -> None:
        self.past = Past()
        self.count = 0
        self.told: list[str] = []

    def covers_at_most(self, count: int) -> bool:
        """Whether nothing has been made of an event beyond the first `count`."""
        return self.count <= count and len(self.told) <= count

    def forget(self, events: Sequence[Event]) -> None:
        """Leave out these events, with which the history began."""
        self.past.forget(_spoken(events[: self.count]))
        self.count = max(0, self.count - len(events))
        del self.told[: len(events)]

    def since(self, events: Sequence[Event]) -> Quoted:
        """What is left where these events, with which the history began, are not quoted."""
        rest = Quoted()
        rest.told = self.told[len(events) :]
        if self.count > len(events):
            rest.count = self.count - len(events)
            rest.past = self.past.since(_spoken(events))
        return rest

    def sift(self, begun: int, kept: Sequence[bool]) -> None:
        """Of the events from the place `begun` on only some are `kept`; the others have no words here."""
        self.count = min(self.count, begun) + sum(kept[: max(0, self.count - begun)])
        self.told[begun:] = compress(self.told[begun:], kept)


def _spoken(events: Sequence[Event]) -> int:
    return sum(event.get("type") in _SPOKEN for event in events)


class ChatLines(list[dict[str, Any]]):
    """The chat messages of all of a conversation, as a prompt quotes them: nobody may change the messages."""

    __slots__ = ("past",)

    def __init__(self, past: Past) -> None:
        super().__init__(past.lines)
        self.past = past


class History(list[Any]):
    """The events of a conversation; what prompts have made of the first of them is not made again."""

    __slots__ = ("quoted",)

    def __init__(self, events: Iterable[Event], quoted: Quoted) -> None:
        super().__init__(events)
        self.quoted = quoted

    def quote(self) -> ChatLines:
        """The chat messages of all events so far."""
        quoted, past = self.quoted, self.quoted.past
        for event in self[quoted.count :]:
            kind = event.get("type")
            if kind == _MASKS:
                _hide(past)
            elif (spoken := _SPOKEN.get(kind)) is not None:
                content = event.get(spoken[1])
                past.add(_message(spoken[0], content), content)
        quoted.count = len(self)
        return ChatLines(past)

    def tell(self) -> list[str] | None:
        """All events so far in the notation of 1.0; None where it takes more than one of them to write one down."""
        told = self.quoted.told
        new = self[len(told) :]
        if any(event.get("type") in _LOG_LABELS or event.get("instructions") for event in new):
            return None
        for event in new:
            if event.get("type") == _MASKS:
                self._hide_told(len(told))
            told.append(_told(event))
        return told

    def _hide_told(self, place: int) -> None:
        """Mask what the user said last before a place."""
        said = next((p for p in range(place - 1, -1, -1) if self[p].get("type") == "UserMessage"), None)
        if said is not None:
            self.quoted.told[said] = _told({**self[said], "text": HIDDEN})

    def since(self, start: int) -> History:
        """The history from a place on."""
        return History(self[start:], self.quoted.since(self[:start]))


def _hide(past: Past) -> None:
    """Mask what the user said last."""
    messages = past.messages
    said = next((p for p in range(len(messages) - 1, -1, -1) if messages[p].role == "user"), None)
    if said is not None:
        past.change(said, _message("user", HIDDEN), HIDDEN)


def as_chat(events: Sequence[Event]) -> list[dict[str, Any]]:
    """User and bot texts as chat messages, in order; contents stay as they are, so images are kept."""
    if isinstance(events, History):
        return events.quote()
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
