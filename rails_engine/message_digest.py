"""What tells lists of messages apart: texts and digests that are the same for the same roles and contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final

_END: Final = "\x1e"
"""Ends a role, and a text that has none of these."""
_COUNTED: Final = "\x1f"
"""Begins what says itself how long it is."""
_ROLE_AND_CONTENT: Final = itemgetter("role", "content")


def as_text(message: Mapping[str, Any]) -> str:
    """What tells a message from others, unambiguous also where several are strung together."""
    content = message.get("content")
    if len(message) == 2 and isinstance(content, str):
        # The usual message has nothing but a role and a text.
        if _END not in content and _COUNTED not in content:
            return f"{message.get('role')}{_END}{content}{_END}"
        return f"{_COUNTED}{message.get('role')}|{len(content)}|{content}"
    rest = [message[key] for key in ("event", "tool_call_id") if key in message]
    calls = [_plain_call(call) for call in message.get("tool_calls") or ()]
    if calls:
        rest, content = [*rest, calls], content or ""
    text = content if isinstance(content, str) and not rest else json.dumps([content, rest], default=str)
    return f"{_COUNTED}{message.get('role')}||{isinstance(content, str)}|{len(rest)}|{len(text)}|{text}"


def _strung(messages: Sequence[Mapping[str, Any]]) -> str:
    """The texts of messages one after the other; at once where all are of the usual kind."""
    if len(messages) == 1:
        return as_text(messages[0])
    try:
        if set(map(len, messages)) == {2}:
            text = _END.join(chain.from_iterable(map(_ROLE_AND_CONTENT, messages))) + _END
            if text.count(_END) == 2 * len(messages) and _COUNTED not in text:
                return text
    except (KeyError, TypeError):
        pass
    return "".join(map(as_text, messages))


def _plain_call(call: Any) -> Any:
    """A tool call with its arguments as data: clients send them back as data or as JSON text."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return call
    try:
        return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
    except ValueError:
        return call


class Digest:
    """Identifies a growing list of messages by roles and contents; no two different lists share one (up to BLAKE2)."""

    __slots__ = ("_hash",)

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=32)

    def add(self, *messages: Mapping[str, Any]) -> None:
        """Take further messages in."""
        self._hash.update(_strung(messages).encode("utf-8", "surrogatepass"))

    def copy(self) -> Digest:
        """The digest so far, to go on from in another way."""
        other = Digest()
        other._hash = self._hash.copy()
        return other

    def text(self) -> str:
        """The digest of all messages so far: 64 hexadecimal digits."""
        return self._hash.hexdigest()


def digest(messages: Iterable[Mapping[str, Any]]) -> str:
    """The digest of a whole list."""
    text = _strung(tuple(messages))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).hexdigest()
