"""Conversations of Colang 1.0 that are remembered by the messages that led to them.

A chat client sends the whole list each time. What its beginning led to is found by digest, so that only what is new is
taken in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from rails_engine.chat import ChatMessage, Digest
from rails_engine.replies import ANSWERS, Reply, turn_start
from rails_engine.saved import Story, begin_story
from rails_engine.values import value_class

KEPT: Final = 256
"""Conversations that are remembered by their messages."""


@value_class
class Known:
    """A conversation that is known already, how many messages led to it, and the digest of all messages given."""

    story: Story
    length: int
    digest: Digest


class Stories:
    """Conversations by the messages that led to them; the least recently used go first."""

    def __init__(self) -> None:
        self._stories: OrderedDict[str, Story] = OrderedDict()

    def longest(self, messages: Sequence[ChatMessage]) -> Known:
        """The conversation that the longest known beginning of `messages` led to."""
        latest, whole = turn_start(messages), Digest()
        if not latest:
            whole.add(*messages)
            return Known(begin_story(), 0, whole)
        whole.add(*messages[:latest])
        story = self._stories.get(whole.text())
        if story is not None:  # as it is whenever a conversation just goes on
            self._stories.move_to_end(whole.text())
            whole.add(*messages[latest:])
            return Known(story, latest, whole)
        return self._searched(messages)

    def _searched(self, messages: Sequence[ChatMessage]) -> Known:
        growing, known, length = Digest(), begin_story(), 0
        for place, message in enumerate(messages, 1):
            growing.add(message)
            if message.get("role") in ANSWERS:
                story = self._stories.get(growing.text())
                if story is not None:
                    self._stories.move_to_end(growing.text())
                    known, length = story, place
        return Known(known, length, growing)

    def keep(self, asked: Digest, reply: Reply, story: Story) -> None:
        """Remember what the messages of `asked` led to, whichever way the caller writes the answer down.

        `asked` is that of `longest`, and takes the answer in. With reasoning in front of it, as it was given out, or the text alone, as it was streamed.
        """
        answer = reply.as_message()
        if not reply.is_plain:
            growing = asked.copy()
            growing.add(answer)
            self._stories[growing.text()] = story
            answer = {"role": "assistant", "content": reply.text}
        asked.add(answer)
        self._stories[asked.text()] = story
        while len(self._stories) > KEPT:
            self._stories.popitem(last=False)
