"""The engine of a Colang 1.0 configuration as something that answers messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from app.cli.chat.driver import ConversationError
from app.cli.chat.messages_conversation import Message
from app.cli.chat.turn_log import ModelCall

if TYPE_CHECKING:
    from rails_engine import LLMRails


_ERROR: Final = '{"error": '


class RailsAnswers:
    """Implements `Answering` with rails of this process."""

    def __init__(self, rails: LLMRails) -> None:
        self._rails = rails

    async def answer(self, messages: Sequence[Message]) -> str:
        """The answer.

        Raises:
            ConversationError: a rail raised its exception instead of answering.
        """
        reply = await self._rails.generate_async(messages=list(messages))
        content = reply["content"]
        if isinstance(content, dict):
            raise ConversationError(str(content.get("message") or content.get("type")))
        return str(content)

    async def pieces(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        """The answer piece by piece.

        Raises:
            ConversationError: the stream ended with an error.
        """
        async for piece in self._rails.stream_async(messages=list(messages)):
            text = str(piece)
            if text.startswith(_ERROR):
                raise ConversationError(str(json.loads(text)["error"]["message"]))
            yield text

    def calls(self) -> Sequence[ModelCall]:
        """See `Answering.calls`."""
        return self._rails.explain().llm_calls

    async def close(self) -> None:
        """See `Answering.close`."""
        await self._rails.aclose()
