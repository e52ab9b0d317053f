"""The border between UMIM event dictionaries and the machine's events.

Dictionaries exist on the outer side alone. On their way out events are stamped (`uid`, time, source), action events
get their modality hints, and the few arguments that every interactive system relies on are checked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from time import time_ns
from types import MappingProxyType
from typing import Any, TypeAlias
from uuid import uuid4

from colang import Event

EventDict: TypeAlias = dict[str, Any]

MODALITIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "UtteranceBotAction": ("bot_speech", "replace"),
        "UtteranceUserAction": ("user_speech", "replace"),
        "TimerBotAction": ("time", "parallel"),
        "FacialGestureBotAction": ("bot_face", "replace"),
        "GestureBotAction": ("bot_gesture", "override"),
        "PostureBotAction": ("bot_posture", "override"),
        "VisualChoiceSceneAction": ("information", "override"),
        "VisualInformationSceneAction": ("information", "override"),
        "VisualFormSceneAction": ("information", "override"),
        "MotionEffectCameraAction": ("camera_motion_effect", "override"),
        "ShotCameraAction": ("camera_shot", "override"),
    }
)
"""Action to (modality, policy): what the interactive system does when two actions want the same channel."""

ENGINE_UID = "NeMoGuardrails"
"""`source_uid` of events that the engine itself makes, as users' flows know it."""

_ORDERS = ("Start", "Change", "Stop")


class InvalidEventError(ValueError):
    """An event that no interactive system could carry out; says which argument is wrong."""


def now_text() -> str:
    """The current time as UMIM writes it: ISO 8601 in UTC, with microseconds."""
    second, rest = divmod(time_ns() // 1000, 1_000_000)
    return f"{_second_text(second)}.{rest:06d}+00:00"


@lru_cache(maxsize=2)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=2)
def _millisecond_text(number: int) -> str:
    """The time so many milliseconds after the epoch; events that turns make side by side share it."""
    second, rest = divmod(number, 1000)
    return f"{_second_text(second)}.{rest:03d}000+00:00"


def ordered_action(name: str) -> str | None:
    """`StartFooAction` (or `Change…`, `Stop…`) to `FooAction`; None for any other event."""
    if name.endswith("Action"):
        for order in _ORDERS:
            if name.startswith(order) and len(name) > len(order) + len("Action"):
                return name[len(order) :]
    return None


def started_action(name: str) -> str | None:
    """`StartFooAction` to `FooAction`; None for any other event."""
    return name[5:] if name.startswith("Start") and name.endswith("Action") and len(name) > 11 else None


def stamped(event: Event, source_uid: str) -> Event:
    """An outgoing event with everything that UMIM asks for among its arguments.

    Raises:
        InvalidEventError: an argument that everybody relies on is missing or of the wrong type.
    """
    arguments: EventDict = {"uid": str(uuid4()), "event_created_at": now_text(), "source_uid": source_uid}
    arguments.update(event.arguments)
    if "Action" in event.name:
        _stamp_action(event.name, arguments)
    return Event(event.name, arguments)


def _stamp_action(name: str, arguments: EventDict) -> None:
    """What the events of actions have in addition: an order to start one its uid, and how it is to be shown."""
    action = ordered_action(name)
    if started_action(name) is not None:
        arguments.setdefault("action_uid", str(uuid4()))
    check_action(name, arguments)
    modality = MODALITIES.get(action) if action is not None else None
    if modality is not None:
        arguments["action_info_modality"], arguments["action_info_modality_policy"] = modality


def as_dict(event: Event) -> EventDict:
    """The UMIM dictionary of an event."""
    return {"type": event.name, **event.arguments}


_TEXTS = ("script", "final_script", "final_transcript", "interim_script", "interim_transcript")


def check_action(name: str, event: Mapping[str, Any]) -> None:
    """Check an event about an action: an order to the interactive system, or news of one.

    Raises:
        InvalidEventError: no action uid; a script or transcript that is no text; an end that does not say when it was
            and whether the action succeeded, or why not.
    """
    if not isinstance(event.get("action_uid"), str):
        raise InvalidEventError(f"{name} needs a text `action_uid`")
    if name == "StartUtteranceBotAction":
        _require_text(name, event, "script")
    if "Utterance" in name:
        for key in _TEXTS:
            if key in event:
                _require_text(name, event, key)
    if name.endswith("ActionFinished"):
        if "action_finished_at" not in event or not isinstance(event.get("is_success"), bool):
            raise InvalidEventError(f"{name} needs `action_finished_at`, and `is_success` as True or False")
        if not event["is_success"] and "failure_reason" not in event:
            raise InvalidEventError(f"{name} needs a `failure_reason` where it is no success")


def _require_text(name: str, event: Mapping[str, Any], key: str) -> None:
    if not isinstance(event.get(key), str):
        raise InvalidEventError(f"{name} needs a text `{key}`, not {type(event.get(key)).__name__}")


def received(event: Mapping[str, Any]) -> Event:
    """An incoming dictionary as the machine's event, its arguments untouched: they count in match scores.

    Raises:
        InvalidEventError: the event has no type.
    """
    name = event.get("type")
    if not isinstance(name, str) or not name:
        raise InvalidEventError(f"an event needs a text `type`, not {name!r}")
    return Event(name, {key: value for key, value in event.items() if key != "type"})


def finished(action: str, start: Event, outcome: Mapping[str, Any]) -> Event:
    """The `…Finished` event that answers the `Start…` event of an action carried out here."""
    now = now_text()
    arguments: EventDict = {
        "uid": str(uuid4()),
        "event_created_at": now,
        "source_uid": ENGINE_UID,
        "action_uid": start.arguments["action_uid"],
        "action_name": action,
        "status": "success",
        "is_success": True,
        "return_value": None,
        "events": [],
        "action_finished_at": now,
        **outcome,
    }
    if action == "UtteranceBotAction":
        arguments["final_script"] = start.arguments.get("script", "")
    return Event(f"{action}Finished", arguments)


def engine_event(name: str, **arguments: Any) -> Event:
    """A stamped event that the engine itself sends."""
    stamp: EventDict = {"uid": str(uuid4()), "event_created_at": now_text(), "source_uid": ENGINE_UID}
    return Event(name, {**stamp, **arguments})


_NUMBERS = tuple(f"{number:012x}" for number in range(1024))
"""The ends of the first uids of a turn; few turns need more."""


_random = Random()
"""For what guards nothing; one of our own, so that nobody else seeds it."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_random.seed)


class Stamper:
    """Stamps the events of one turn: uids that count up from a random one, and the time in whole milliseconds.

    A uid has 72 random bits and 48 bits of counter, so those of two turns do not meet; asking the operating system
    for each, and writing each time anew, would be a third of the cost of a turn. A uid tells events apart and guards
    nothing, so the bits come from a generator that the system seeds once a process.
    """

    __slots__ = ("_count", "_prefix")

    def __init__(self) -> None:
        digits = f"{_random.getrandbits(72):018x}"
        self._prefix = f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:]}-"
        self._count = 0

    def stamp(self, event: Mapping[str, Any]) -> EventDict:
        """The event with uid, time and source; what it has already stays."""
        stamp = self.begun(event["type"])
        stamp.update(event)
        return stamp

    def begun(self, kind: str) -> EventDict:
        """What an event of a type begins with: type, uid, time and source, and what an action's start has beside."""
        self._count = count = self._count + 1
        begun = {
            "type": kind,
            "uid": self._prefix + (_NUMBERS[count] if count < 1024 else f"{count:012x}"),
            "event_created_at": _millisecond_text(time_ns() // 1_000_000),
            "source_uid": ENGINE_UID,
        }
        if kind.endswith("Action") and kind.startswith("Start"):
            self._count = count = count + 1
            begun["action_uid"] = self._prefix + (_NUMBERS[count] if count < 1024 else f"{count:012x}")
            modality = MODALITIES.get(kind[5:])
            if modality is not None:
                begun["action_info_modality"], begun["action_info_modality_policy"] = modality
        return begun
