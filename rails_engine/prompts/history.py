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
from typing import Any, TypeAlias

Event: TypeAlias = Mapping[str, Any]

HIDDEN = "(hidden, because the assistant does not talk about it)"
TURN_STARTS = ("UserMessage", "UtteranceUserActionFinished", "UserActionLog")

_MASKS = "mask_prev_user_message"
_TYPE = itemgetter("type")
_SPOKEN: Mapping[Any, tuple[str, str]] = {
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


def as_chat(events: Sequence[Event]) -> list[dict[str, Any]]:
    """User and bot texts as chat messages, in order; contents stay as they are, so images are kept."""
    messages: list[dict[str, Any]] = []
    for event in with_masks(events) if _has_masks(events) else events:
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
