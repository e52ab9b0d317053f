"""What callers give as `messages`, looked over before anything is done with it.

Both dialects read the same lists. Whatever is wrong is the caller's to mend, so the error says which message it is and
what would have been right; nothing of the conversation has been touched by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rails_engine.errors import InvalidRequestError, NoMessagesError

MAX_MESSAGES: Final = 5_000
MAX_CHARACTERS: Final = 5_000_000
"""Of all texts in one call together."""

ROLES: Final = frozenset(
    {"user", "assistant", "system", "developer", "context", "event", "tool", "function", "exception"}
)
EXAMPLE: Final = "such as {'role': 'user', 'content': 'hello'}"
NOTHING_SAID: Final[Sequence[Mapping[str, Any]]] = ()
"""Messages of a call that only brings an answer to be checked."""


def require_messages(messages: Any) -> Sequence[Mapping[str, Any]]:
    """`messages`, if it is a list of messages within bounds.

    Raises:
        InvalidRequestError: it is something else, a message has no known role or lacks what its role needs, a text is
            no valid Unicode, or there is too much of it.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise InvalidRequestError(f"`messages` is a list of messages {EXAMPLE}, not {_kind(messages)}")
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequestError(
            f"{len(messages)} messages in one call are too many: at most {MAX_MESSAGES}"
        )
    size = sum(_require_message(message, number) for number, message in enumerate(messages))
    if size > MAX_CHARACTERS:
        raise InvalidRequestError(f"{size} characters in one call are too many: at most {MAX_CHARACTERS}")
    return messages


def prompt_message(prompt: Any) -> Sequence[Mapping[str, Any]]:
    """A prompt as the one message that it is.

    Raises:
        InvalidRequestError: it is no text.
    """
    if not isinstance(prompt, str):
        raise InvalidRequestError(f"`prompt` is a text, not {_kind(prompt)}; give messages as `messages=[…]`")
    return [{"role": "user", "content": prompt}]


def require_events(events: Any) -> Sequence[Mapping[str, Any]]:
    """`events`, if it is a list of events that is not empty.

    Raises:
        NoMessagesError: it is empty.
        InvalidRequestError: it is something else, or an event has no type.
    """
    example = "such as {'type': 'UtteranceUserActionFinished', 'final_transcript': 'hello'}"
    if not isinstance(events, Sequence) or isinstance(events, str | bytes):
        raise InvalidRequestError(f"`events` is a list of events {example}, not {_kind(events)}")
    if not events:
        raise NoMessagesError(f"`events` is empty: give at least one event {example}")
    for number, event in enumerate(events):
        kind = event.get("type") if isinstance(event, Mapping) else None
        if not isinstance(kind, str) or not kind:
            raise InvalidRequestError(
                f"events[{number}] is a dictionary with a `type`, {example}, not {event!r:.80}"
            )
    return events


def _require_message(message: Any, number: int) -> int:
    """How many characters a message has."""
    where = f"messages[{number}]"
    if not isinstance(message, Mapping):
        raise InvalidRequestError(f"{where} is a dictionary {EXAMPLE}, not {_kind(message)}")
    role = message.get("role")
    if role not in ROLES:
        given = "no `role`" if role is None else f"the unknown role {role!r}"
        raise InvalidRequestError(f"{where} has {given}; roles are {', '.join(sorted(ROLES))}")
    if role in {"user", "system", "developer"} and "content" not in message:
        raise InvalidRequestError(f"{where} has no `content`, the text of the message")
    return _require_text(message.get("content"), where)


def _require_text(content: Any, where: str) -> int:
    if isinstance(content, list):
        return sum(_require_part(part, f"{where}.content[{at}]") for at, part in enumerate(content))
    if not isinstance(content, str):
        return 0
    if not content.isascii():
        require_unicode(content, f"{where}.content")
    return len(content)


def _require_part(part: Any, where: str) -> int:
    """A part of a multimodal message; only its text is read here."""
    if isinstance(part, str):
        return _require_text(part, where)
    if not isinstance(part, Mapping):
        raise InvalidRequestError(
            f"{where} is a part such as {{'type': 'text', 'text': 'hi'}}, not {_kind(part)}"
        )
    return _require_text(part.get("text"), where)


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
