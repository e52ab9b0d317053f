"""Small helpers that users' actions and scripts take from `nemoguardrails.utils`."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import hashlib
import json
import random
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from rails_engine.umim import EventDict, InvalidEventError, Stamper, check_action, ordered_action

_STAMPS = ("uid", "event_created_at", "source_uid")


def new_uuid() -> str:
    """A random UUID as text."""
    return str(uuid4())


def new_var_uuid() -> str:
    """A random UUID that may be part of a variable's name."""
    return new_uuid().replace("-", "_")


def new_readable_uuid(name: str) -> str:
    """A random UUID behind a name that people recognise."""
    return f"({name}){new_uuid()}"


def new_event_dict(event_type: str, **payload: Any) -> EventDict:
    """An event with its uid, time and source; an action's start gets its action uid and modality too.

    Raises:
        InvalidEventError: an argument that every interactive system relies on is of the wrong type.
    """
    event = Stamper().stamp({"type": event_type, **payload})
    if ordered_action(event_type) is not None:
        check_action(event_type, event)
    return event


def ensure_valid_event(event: Mapping[str, Any]) -> None:
    """Hold an event to what UMIM asks for.

    Raises:
        InvalidEventError: something is missing or of the wrong type.
    """
    kind = event.get("type")
    if not isinstance(kind, str):
        raise InvalidEventError(f"an event needs a text `type`, not {kind!r}")
    for key in _STAMPS:
        if not isinstance(event.get(key), str):
            raise InvalidEventError(f"{kind} needs a text `{key}`")
    if "Action" in kind:
        check_action(kind, event)


def is_valid_event(event: Mapping[str, Any]) -> bool:
    """Whether an event has what UMIM asks for."""
    try:
        ensure_valid_event(event)
    except InvalidEventError:
        return False
    return True


def compute_hash(text: str) -> str:
    """A short fingerprint of a text as hexadecimal digits; no secret is safe behind it."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def safe_eval(input_value: str) -> str:
    """The text that a quoted literal stands for; anything else as it is."""
    value = input_value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        try:
            read = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return input_value
        return read if isinstance(read, str) else input_value
    return input_value


def get_or_create_event_loop() -> asyncio.AbstractEventLoop:
    """The running event loop; outside of one, a new one that becomes this thread's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        return loop


def init_random_seed(seed: int) -> None:
    """Make what is chosen at random repeatable."""
    random.seed(seed)


class EnhancedJsonEncoder(json.JSONEncoder):
    """Writes dataclasses as objects, and says in a text what it cannot write."""

    def default(self, o: Any) -> Any:
        if dataclasses.is_dataclass(o) and not isinstance(o, type):
            return dataclasses.asdict(o)
        return f"Type {type(o)} not serializable"
