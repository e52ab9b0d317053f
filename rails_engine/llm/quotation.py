"""Prompts that quote a conversation turn after turn: what has been made of its messages is not made again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from rails_engine.llm.base import Message


class Past:
    """The messages of a conversation in the forms that prompts and models take them in; it grows with the conversation.

    It belongs to one turn at a time: users' models are handed messages of it, and may change them.
    """

    __slots__ = ("lines", "messages", "metadata", "public", "size", "unlike_text")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.lines: list[dict[str, Any]] = []
        """Each as a dictionary of its role and its content."""
        self.public: list[Any] = []
        """The first of them as users' models take them; None for one that each call is handed anew."""
        self.metadata: list[dict[str, Any]] = []
        """The `provider_metadata` of these, empty as long as nobody has changed it."""
        self.size = 0
        """Characters of their texts."""
        self.unlike_text = 0
        """Lines among them whose content is no text."""

    def add(self, message: Message, content: Any) -> None:
        """One more; `content` is what the conversation has for it."""
        self.messages.append(message)
        self.lines.append({"role": message.role, "content": content})
        self.size += length_of(message)
        self.unlike_text += type(content) is not str

    def change(self, place: int, message: Message, content: Any) -> None:
        """Another one in the place of one."""
        line = {"role": message.role, "content": content}
        self.size += length_of(message) - length_of(self.messages[place])
        self.unlike_text += _is_unlike_text(line) - _is_unlike_text(self.lines[place])
        self.messages[place], self.lines[place] = message, line
        self.remake(place)

    def forget(self, count: int) -> None:
        """Leave out the first ones."""
        self.size -= sum(map(length_of, self.messages[:count]))
        self.unlike_text -= sum(map(_is_unlike_text, self.lines[:count]))
        for each in (self.messages, self.lines, self.public, self.metadata):
            del each[:count]

    def remake(self, place: int = 0) -> None:
        """Have the public forms made anew, from a place on."""
        del self.public[place:]
        del self.metadata[place:]

    def since(self, place: int) -> Past:
        """The same from a place on; its public forms are its own."""
        rest = Past()
        rest.messages, rest.lines = self.messages[place:], self.lines[place:]
        rest.unlike_text = sum(map(_is_unlike_text, rest.lines))
        rest.size = sum(map(length_of, rest.messages))
        return rest


def _is_unlike_text(line: Mapping[str, Any]) -> bool:
    return type(line["content"]) is not str


class Quotation(tuple[Message, ...]):  # noqa: SLOT001 -- Python allows a tuple no slots but empty ones
    """The messages of a prompt: some `before`, the first `length` of `past`, and some `after` them."""

    before: tuple[Message, ...]
    past: Past
    length: int
    after: tuple[Message, ...]

    @classmethod
    def of(cls, before: tuple[Message, ...], past: Past, after: tuple[Message, ...] = ()) -> Self:
        """All that has been said, between other messages."""
        quotation = cls((*before, *past.messages, *after))
        quotation.before, quotation.past, quotation.after = before, past, after
        quotation.length = len(past.messages)
        return quotation

    @property
    def characters(self) -> int:
        """Of all texts."""
        past, begin = self.past, len(self.before)
        is_whole = self.length == len(past.messages)
        quoted = past.size if is_whole else sum(map(length_of, self[begin : begin + self.length]))
        return quoted + sum(map(length_of, self.before + self.after))

    def lines(self, line: Callable[[Message], dict[str, Any]]) -> list[dict[str, Any]]:
        """Each message as a dictionary that nobody may change: those of `past` as they are there, others as `line` gives them."""
        if self.past.unlike_text:
            return list(map(line, self))
        return [*map(line, self.before), *self.past.lines[: self.length], *map(line, self.after)]


def length_of(message: Message) -> int:
    """Characters of its text."""
    if isinstance(message.content, str):
        return len(message.content)
    return sum(len(getattr(part, "text", "")) for part in message.content)
