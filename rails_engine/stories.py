"""Conversations of Colang 1.0 that are remembered by the messages that led to them.

A chat client sends the whole list each time. What its beginning led to is found by digest, so that only what is new is
taken in. A long list that goes on where the engine has answered need not even be looked over: it is compared with what
was remembered, at once, and what was remembered takes its place.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, Final

from rails_engine.chat import ChatMessage
from rails_engine.error_boundary import equal
from rails_engine.lru import LruTable
from rails_engine.message_digest import Digest
from rails_engine.messages import NOTHING_CHECKED, Checked, is_plain
from rails_engine.replies import ANSWERS, Reply, turn_start
from rails_engine.saved import Story, begin_story
from rails_engine.values import value_class

KEPT: Final = 256
"""Conversations that are remembered by their messages."""

LONG: Final = 8
"""Messages from which on comparing a list is quicker than looking it over."""


@value_class
class Known:
    """A conversation that is known already, and how many of `messages` led to it.

    `digest` is of all messages; the first of them were `checked` before.
    """

    story: Story
    length: int
    digest: Digest
    messages: Sequence[ChatMessage] = ()
    checked: Checked = NOTHING_CHECKED


@value_class
class Told:
    """What was said up to an answer, and what it led to."""

    checked: Checked
    digest: Digest
    story: Story


class Stories:
    """Conversations by the messages that led to them; the least recently used go first."""

    def __init__(self) -> None:
        self._stories: LruTable[str, Story | None] = LruTable(KEPT)
        self._told: LruTable[Hashable, Told | None] = LruTable(KEPT)

    def checked(self, messages: Any) -> Checked:
        """The messages that `messages`, which may be anything, begins with and that were looked over before."""
        told = self._recalled(messages)
        return told.checked if told is not None else NOTHING_CHECKED

    def longest(self, messages: Sequence[ChatMessage]) -> Known:
        """The conversation that the longest known beginning of `messages` led to."""
        told = self._recalled(messages)
        if told is not None:
            whole = told.digest.copy()
            whole.add(messages[-1])
            return Known(told.story, len(messages) - 1, whole, messages, told.checked)
        latest, whole = turn_start(messages), Digest()
        if not latest:
            whole.add(*messages)
            return Known(begin_story(), 0, whole, messages)
        whole.add(*messages[:latest])
        story = self._stories.get(whole.text(), None)
        if story is not None:  # as it is whenever a conversation just goes on
            whole.add(*messages[latest:])
            return Known(story, latest, whole, messages)
        return self._searched(messages)

    def _searched(self, messages: Sequence[ChatMessage]) -> Known:
        growing, known, length = Digest(), begin_story(), 0
        for place, message in enumerate(messages, 1):
            growing.add(message)
            if message.get("role") in ANSWERS:
                story = self._stories.get(growing.text(), None)
                if story is not None:
                    known, length = story, place
        return Known(known, length, growing, messages)

    def keep(self, known: Known, reply: Reply, story: Story) -> None:
        """Remember what all messages of `known` led to, whichever way the caller writes the answer down.

        The digest takes the answer in: with reasoning in front of it, as it was given out, or the text alone, as it was
        streamed.
        """
        answer, asked = {"role": "assistant", "content": reply.text}, known.digest
        if not reply.is_plain:
            whole = asked.copy()
            whole.add(reply.as_message())
            self._stories.keep(whole.text(), story)
        asked.add(answer)
        self._stories.keep(asked.text(), story)
        if len(known.messages) >= LONG:
            self._tell(known, answer, story)

    def _tell(self, known: Known, answer: ChatMessage, story: Story) -> None:
        """Remember the messages themselves, if all of them are plain texts that could be sent again as they are."""
        new = [*known.messages[len(known.checked.messages) :], answer]
        if not all(map(is_plain, new)) or not _is_unicode(answer["content"]):
            return
        size = sum(len(message["content"]) for message in new)
        checked = Checked([*known.checked.messages, *map(dict, new)], known.checked.size + size)
        self._told.keep(_place(checked.messages), Told(checked, known.digest, story))

    def _recalled(self, messages: Any) -> Told | None:
        """What was remembered of a list that goes on with one message of the user's behind an answer."""
        if type(messages) is not list or len(messages) <= LONG or not is_plain(messages[-1]):
            return None
        before = messages[:-1]
        if messages[-1]["role"] != "user" or not all(map(is_plain, before[-2:])):
            return None
        told = self._told.get(_place(before), None)
        return told if told is not None and equal(before, told.checked.messages) else None


def _place(messages: Sequence[ChatMessage]) -> Hashable:
    """By what a list is looked for before it is compared; of lists that share it the latest is remembered."""
    return len(messages), messages[-2]["content"], messages[-1]["content"]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
