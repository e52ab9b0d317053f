"""What comes from outside in events: results of tools, and what users type into forms. Somebody has to judge both.

An action that no Python here carries out is the host's to carry out. If it is one of the interactive system's (speech,
gestures, timers, scenes), news of it tell how the conversation goes; any other is a tool, and news of it bring what the
tool returned. Names follow UMIM: the interactive system's actions end in `BotAction`, `UserAction` and so on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from colang import INTERNAL_EVENTS
from rails_engine.umim import EventDict

TOOL_RESULTS: Final = "UserToolMessages"
"""What tools returned, all of a turn at once."""

INTERNAL: Final = INTERNAL_EVENTS | {"PauseFlow", "ResumeFlow"}
"""Events by which the flows of Colang 2.x steer each other; none comes from outside."""

ACTION_CALL: Final = "action"
"""The type of a call that a flow makes by itself, as rails see it; calls of models are of the type `function`."""

_NEWS = re.compile(r"(?P<action>\w*?Action)(?:Started|Finished|\w*Updated)")
_INTERACTIVE = ("BotAction", "UserAction", "SceneAction", "CameraAction", "SensingAction")
_FORMS = ("SceneAction",)
_TECHNICAL: Final = frozenset(
    {
        "type",
        "uid",
        "event_created_at",
        "source_uid",
        "action_uid",
        "action_name",
        "action_started_at",
        "action_updated_at",
        "action_finished_at",
        "is_success",
        "status",
        "events",
        "action_info_modality",
        "action_info_modality_policy",
    }
)


@lru_cache(maxsize=1024)
def is_tool(action: str) -> bool:
    """True for an action that is none of the interactive system's."""
    return not action.endswith(_INTERACTIVE)


@lru_cache(maxsize=1024)
def action_of(kind: str) -> str | None:
    """`FooAction` of `FooActionFinished`, `FooActionStarted` and `FooActionBarUpdated`; None for any other event."""
    news = _NEWS.fullmatch(kind)
    return news["action"] if news else None


def results_of(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The tool results that an event brings, as `{tool_call_id, name, content}`."""
    if event["type"] == TOOL_RESULTS:
        messages = event.get("tool_messages")
        told = messages if isinstance(messages, list | tuple) else ()
        return [dict(each) for each in told if isinstance(each, Mapping)]
    action = action_of(event["type"])
    if action is None or not is_tool(action) or not (payload := _payload(event)):
        return []
    return [{"tool_call_id": event.get("action_uid"), "name": action, "content": _content(payload)}]


def with_content(event: Mapping[str, Any], content: Any) -> EventDict:
    """The event of a tool's result with the content that its rails have left."""
    if content == _content(_payload(event)):
        return dict(event)
    rest = {key: value for key, value in event.items() if key in _TECHNICAL}
    return {**rest, "return_value": content}


def _payload(event: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in _TECHNICAL and value is not None}


def _content(payload: Mapping[str, Any]) -> Any:
    """A result as rails read it: a text, or what messages may hold; anything else as JSON."""
    value = payload["return_value"] if payload.keys() == {"return_value"} else payload
    return value if isinstance(value, str | list) else json.dumps(value, ensure_ascii=False, default=str)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


# --- forms -----------------------------------------------------------------------------------------------------------


def typed_texts(event: Mapping[str, Any]) -> list[str]:
    """What a user wrote into, or chose in, a form that an event tells of."""
    action = action_of(event["type"])
    if action is None or not action.endswith(_FORMS):
        return []
    return list(_texts(_payload(event)))


def with_texts(event: Mapping[str, Any], texts: Mapping[str, str]) -> EventDict:
    """The event with each text replaced by what `texts` has for it."""
    payload = _replaced(_payload(event), texts)
    return {**event, **payload}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key != "id":  # the name that the form itself gave a field
                yield from _texts(item)
    elif _is_list(value):
        for item in value:
            yield from _texts(item)


def _replaced(value: Any, texts: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return texts.get(value, value)
    if isinstance(value, Mapping):
        return {key: item if key == "id" else _replaced(item, texts) for key, item in value.items()}
    return [_replaced(item, texts) for item in value] if _is_list(value) else value
