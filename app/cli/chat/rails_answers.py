"""The engine of a Colang 1.0 configuration as something that answers messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from app.cli.chat.inside import ModelCall
from app.cli.chat.messages_conversation import Message

if TYPE_CHECKING:
    from rails_engine import LLMRails


class RailsAnswers:
    def __init__(self, rails: LLMRails) -> None:
        self._rails = rails

    async def answer(self, messages: Sequence[Message]) -> str:
        reply = await self._rails.generate_async(messages=list(messages))
        return str(reply["content"]) if isinstance(reply, dict) else str(reply)

    async def pieces(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        async for piece in self._rails.stream_async(messages=list(messages)):
            yield str(piece)

    def calls(self) -> Sequence[ModelCall]:
        return self._rails.explain().llm_calls

    async def close(self) -> None:
        await self._rails.aclose()
