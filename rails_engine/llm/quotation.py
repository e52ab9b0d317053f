"""Prompts that quote a conversation turn after turn: what has been made of its messages is not made again."""

from __future__ import annotations

from collections.abc import Iterable
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
        """Messages among them that have parts."""

    def add(self, message: Message, content: Any) -> None:
        """One more; `content` is what the conversation has for it."""
        self.messages.append(message)
        self.lines.append({"role": message.role, "content": content})
        self._count(message, 1)

    def change(self, place: int, message: Message, content: Any) -> None:
        """Another one in the place of one."""
        self._count(self.messages[place], -1)
        self.messages[place] = message
        self.lines[place] = {"role": message.role, "content": content}
        self._count(message, 1)
        self.remake(place)

    def forget(self, count: int) -> None:
        """Leave out the first ones."""
        for message in self.messages[:count]:
            self._count(message, -1)
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
        rest.unlike_text = sum(type(message.content) is not str for message in rest.messages)
        rest.size = sum(map(length_of, rest.messages))
        return rest

    def _count(self, message: Message, times: int) -> None:
        self.size += times * length_of(message)
        self.unlike_text += times * (type(message.content) is not str)


class Quotation(tuple[Message, ...]):  # noqa: SLOT001 -- Python allows a tuple no slots but empty ones
    """The messages of a prompt; those from `begin` to `end` are the first of `past`."""

    past: Past
    begin: int
    end: int

    @classmethod
    def of(cls, before: Iterable[Message], past: Past, after: Iterable[Message] = ()) -> Self:
        """All that has been said, between other messages."""
        before = tuple(before)
        quotation = cls((*before, *past.messages, *after))
        quotation.past = past
        quotation.begin, quotation.end = len(before), len(before) + len(past.messages)
        return quotation

    @property
    def others(self) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """What stands in front of what is quoted, and what behind it."""
        return self[: self.begin], self[self.end :]

    @property
    def characters(self) -> int:
        """Of all texts."""
        others = sum(sum(map(length_of, each)) for each in self.others)
        if self.end - self.begin == len(self.past.messages):
            return others + self.past.size
        return others + sum(map(length_of, self[self.begin : self.end]))


def length_of(message: Message) -> int:
    """Characters of its text."""
    if isinstance(message.content, str):
        return len(message.content)
    return sum(len(getattr(part, "text", "")) for part in message.content)
