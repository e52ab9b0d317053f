"""What callers give as `messages`, looked over before anything is done with it.

Both dialects read the same lists. Whatever is wrong is the caller's to mend, so the error says which message it is and
what would have been right; nothing of the conversation has been touched by then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from rails_engine.config.schema import LimitsConfig
from rails_engine.errors import InvalidRequestError, NoMessagesError
from rails_engine.external_events import INTERNAL
from rails_engine.values import value_class

ROLES: Final = frozenset(
    {"user", "assistant", "system", "developer", "context", "event", "tool", "function", "exception"}
)
EXAMPLE: Final = "such as {'role': 'user', 'content': 'hello'}"
EVENT_EXAMPLE: Final = "such as {'type': 'UtteranceUserActionFinished', 'final_transcript': 'hello'}"
NOTHING_SAID: Final[Sequence[Mapping[str, Any]]] = ()
"""Messages of a call that only brings an answer to be checked."""


_ROLE_AND_CONTENT: Final = itemgetter("role", "content")
_DICTS: Final = frozenset({dict})
_PAIRS: Final = frozenset({2})
_TEXTS: Final = frozenset({str})
MAX_BITS: Final = 4096
"""Of a whole number, as in Colang itself; far longer ones cannot even be written as text."""
DEFAULT_LIMITS: Final = LimitsConfig()
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_MAPPINGS: Final[Mapping[str, str]] = {"context": "content", "event": "event"}
_SPEAKERS = frozenset({"user", "assistant"})
_TEXT_ROLES = frozenset({"user", "system", "developer"})


@value_class
class Checked:
    """Messages that were looked over before: copies of our own, which nobody else can change.

    Each is a role and a text; `size` is how many characters their texts have.
    """

    messages: list[Mapping[str, Any]]
    size: int


NOTHING_CHECKED: Final = Checked([], 0)


def require_messages(
    messages: Any, limits: LimitsConfig = DEFAULT_LIMITS, checked: Checked = NOTHING_CHECKED
) -> Sequence[Mapping[str, Any]]:
    """`messages`, if it is a list of messages within bounds; those at its beginning that were `checked` as they were.

    Raises:
        InvalidRequestError: it is something else, a message has no known role or lacks what its role needs, a text is
            no valid Unicode or has control characters, or there is too much of it.
    """
    if type(messages) is not list and (
        not isinstance(messages, Sequence) or isinstance(messages, str | bytes)
    ):
        raise InvalidRequestError(f"`messages` is a list of messages {EXAMPLE}, not {_kind(messages)}")
    if len(messages) > limits.max_messages:
        raise InvalidRequestError(
            f"{len(messages)} messages in one call are too many: at most {limits.max_messages} (limits.max_messages)"
        )
    known, size = checked.messages, checked.size
    new = messages[len(known) :] if known else messages
    if not _are_usual(new, limits.max_characters - size):
        for number, message in enumerate(new, len(known)):
            size += _require_message(message, number, limits)
            _require_size(size, limits)
    return [*known, *new] if known else messages


def _are_usual(messages: Sequence[Any], room: int) -> bool:
    """Whether there is nothing to find: roles and plain texts, as in nearly all calls. A history has many of them."""
    try:
        if not _DICTS.issuperset(map(type, messages)) or not _PAIRS.issuperset(map(len, messages)):
            return False
        roles, texts = zip(*map(_ROLE_AND_CONTENT, messages), strict=True)
        if not _SPEAKERS.issuperset(roles) or not _TEXTS.issuperset(map(type, texts)):
            return False
    except (KeyError, TypeError, ValueError):  # of no message at all there are no roles
        return False
    whole = " ".join(texts)
    if not whole.isascii() or len(whole) - len(texts) >= room:
        return False
    return _CONTROL.search(whole) is None


def is_plain(message: Any) -> bool:
    """Whether a message is a text of somebody's, and nothing else."""
    return (
        type(message) is dict
        and len(message) == 2
        and message.get("role") in _TEXT_ROLES | _SPEAKERS
        and type(message.get("content")) is str
    )


def prompt_message(prompt: Any) -> Sequence[Mapping[str, Any]]:
    """A prompt as the one message that it is.

    Raises:
        InvalidRequestError: it is no text.
    """
    if not isinstance(prompt, str):
        raise InvalidRequestError(f"`prompt` is a text, not {_kind(prompt)}; give messages as `messages=[…]`")
    return [{"role": "user", "content": prompt}]


def require_events(events: Any, limits: LimitsConfig = DEFAULT_LIMITS) -> Sequence[Mapping[str, Any]]:
    """`events`, if it is a list of events within bounds that is not empty.

    Raises:
        NoMessagesError: it is empty.
        InvalidRequestError: as `require_messages`, or an event has no type.
    """
    given = require_plain_events(events, limits)
    if not given:
        raise NoMessagesError(f"`events` is empty: give at least one event {EVENT_EXAMPLE}")
    return given


def require_plain_events(events: Any, limits: LimitsConfig = DEFAULT_LIMITS) -> Sequence[Mapping[str, Any]]:
    """`events`, if it is a list of events within bounds, each with a type; it may be empty.

    Raises:
        InvalidRequestError: as `require_events`.
    """
    if not isinstance(events, Sequence) or isinstance(events, str | bytes):
        raise InvalidRequestError(f"`events` is a list of events {EVENT_EXAMPLE}, not {_kind(events)}")
    size = 0
    for number, event in enumerate(events):
        kind = event.get("type") if isinstance(event, Mapping) else None
        if not isinstance(kind, str) or not kind:
            raise InvalidRequestError(
                f"events[{number}] is a dictionary with a `type`, {EVENT_EXAMPLE}, not {event!r:.80}"
            )
        size += _require_value(event, f"events[{number}]", limits)
        if kind == "ContextUpdate":
            _require_variables(event.get("data"), f"events[{number}].data")
        said = event.get("final_transcript")
        if isinstance(said, str):
            _require_printable(said, f"events[{number}].final_transcript", limits)
        _require_size(size, limits)
    return events


def require_foreign_events(events: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what the flows of Colang 2.x say among themselves, and the variables that the engine keeps for itself.

    Raises:
        InvalidRequestError: an event is of that kind, or sets such a variable.
    """
    for number, event in enumerate(events):
        if event["type"] in INTERNAL:
            raise InvalidRequestError(
                f"events[{number}]: `{event['type']}` is an event between flows; send it from a flow"
            )
        if event["type"] == "ContextUpdate":
            _require_free_names(event.get("data"), f"events[{number}].data")


def _require_size(size: int, limits: LimitsConfig) -> None:
    if size > limits.max_characters:
        raise InvalidRequestError(
            f"the texts of one call are too long: at most {limits.max_characters} characters (limits.max_characters)"
        )


def _require_message(message: Any, number: int, limits: LimitsConfig) -> int:
    """How many characters a message has."""
    where = f"messages[{number}]"
    if not isinstance(message, Mapping):
        raise InvalidRequestError(f"{where} is a dictionary {EXAMPLE}, not {_kind(message)}")
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        given = "no `role`" if role is None else f"the unknown role {role!r:.80}"
        raise InvalidRequestError(f"{where} has {given}; roles are {', '.join(sorted(ROLES))}")
    content = message.get("content")
    if role in _TEXT_ROLES and "content" not in message:
        raise InvalidRequestError(f"{where} has no `content`, the text of the message")
    if role in _TEXT_ROLES and not isinstance(content, str | list):
        raise InvalidRequestError(f"{where}.content is a text or a list of parts, not {_kind(content)}")
    key = _MAPPINGS.get(role)
    if key is not None:
        _require_mapping(message.get(key), role, f"{where}.{key}")
    if isinstance(content, str) and len(message) == 2:  # the usual message
        size = _require_text(content, f"{where}.content")
    else:
        size = _require_value(message, where, limits)
        _require_parts(content, f"{where}.content")
        _require_calls(message.get("tool_calls"), f"{where}.tool_calls")
    if role == "user":
        _require_printable(content, f"{where}.content", limits)
    return size


def _require_mapping(value: Any, role: str, where: str) -> None:
    """What a context sets has names, and an event has a type."""
    if not isinstance(value, Mapping):
        raise InvalidRequestError(f"{where} is a mapping, not {_kind(value)}")
    unnamed = next((name for name in value if not isinstance(name, str)), None)
    if unnamed is not None:
        raise InvalidRequestError(f"{where} has the key {unnamed!r:.80}; keys are texts")
    if role == "context":
        _require_free_names(value, where)
    if role == "event" and not (isinstance(value.get("type"), str) and value["type"]):
        raise InvalidRequestError(f"{where} has no `type`, the name of the event, such as {EVENT_EXAMPLE}")
    if role == "event" and value["type"] == "ContextUpdate":
        _require_free_names(value.get("data"), f"{where}.data")


def _require_free_names(variables: Any, where: str) -> None:
    """Refuse to set what the engine keeps for itself, such as which rails a request may skip."""
    _require_variables(variables, where)
    taken = next((name for name in variables if str(name).startswith("_")), None) if variables else None
    if taken is not None:
        raise InvalidRequestError(
            f"{where} sets {taken!r:.80}; names that begin with `_` are the engine's own, leave out the underscore"
        )


def _require_variables(variables: Any, where: str) -> None:
    """What a context sets, if it sets anything, are values by name."""
    if variables is not None and not isinstance(variables, Mapping):
        raise InvalidRequestError(f"{where} is a mapping of variables, not {_kind(variables)}")


def _require_parts(content: Any, where: str) -> None:
    """The parts of a multimodal message are texts or mappings with a type."""
    for at, part in enumerate(content if isinstance(content, list) else ()):
        named = isinstance(part, Mapping) and isinstance(part.get("text", part.get("type")), str)
        if not isinstance(part, str) and not named:
            raise InvalidRequestError(
                f"{where}[{at}] is a part such as {{'type': 'text', 'text': 'hi'}}, not {part!r:.80}"
            )


def _require_calls(calls: Any, where: str) -> None:
    """Calls of tools are mappings, or records of the engine's own, each of a function."""
    if calls and not isinstance(calls, list | tuple):
        raise InvalidRequestError(f"{where} is a list of calls, not {_kind(calls)}")
    for at, call in enumerate(calls or ()):
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(call, str | int | float | list | tuple | None) or isinstance(
            function, str | int | list
        ):
            raise InvalidRequestError(
                f"{where}[{at}] is a call such as {{'id': 'c1', 'type': 'function', 'function': {{'name': 'f', "
                f"'arguments': '{{}}'}}}}, not {call!r:.80}"
            )


def _require_printable(content: Any, where: str, limits: LimitsConfig) -> None:
    """Refuse control characters in what a user says: no keyboard makes them, and they hide text from people."""
    if limits.control_characters == "allow":
        return
    for at, part in enumerate(content if isinstance(content, list) else [content]):
        text = part.get("text") if isinstance(part, Mapping) else part
        found = _CONTROL.search(text) if isinstance(text, str) else None
        if found:
            place = where if part is content else f"{where}[{at}]"
            raise InvalidRequestError(
                f"{place}: character {found.start() + 1} is the control character U+{ord(found[0]):04X}; leave it out, "
                "or set limits.control_characters to 'allow'"
            )


def _require_value(value: Any, where: str, limits: LimitsConfig) -> int:
    """How many characters plain data has, keys included, each value counting for one more; its nesting is bounded.

    Raises:
        InvalidRequestError: it nests too deep, or a text in it is no valid Unicode.
    """
    size, level, depth = 0, [value], 0
    while level:
        depth += 1
        if depth > limits.max_depth + 1:
            raise InvalidRequestError(
                f"{where} nests more than {limits.max_depth} lists and mappings in one another (limits.max_depth)"
            )
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                size += _require_text(item, where)
            elif isinstance(item, Mapping):
                below += [*item.keys(), *item.values()]
            elif isinstance(item, list | tuple):
                below += item
            elif isinstance(item, int) and item.bit_length() > MAX_BITS:
                raise InvalidRequestError(f"{where} has a whole number of more than {MAX_BITS} bits")
        # What contains itself has no end in width either.
        size += len(below)
        _require_size(size, limits)
        level = below
    return size


def _require_text(text: str, where: str) -> int:
    if not text.isascii():
        require_unicode(text, where)
    return len(text)


def require_unicode(text: str, where: str) -> None:
    """Refuse half characters: no model, file or socket could take them.

    Raises:
        InvalidRequestError: the text has a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError(
            f"{where} is no valid Unicode: character {error.start + 1} is a lone surrogate, U+{ord(text[error.start]):04X}"
        ) from None


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
