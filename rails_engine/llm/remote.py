"""A remote model as an `LLM`: a request becomes a body, what comes back becomes chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from rails_engine.errors import LLMResponseValidationError
from rails_engine.llm.base import Chunk, LLMRequest
from rails_engine.llm.endpoint import Endpoint, Transport
from rails_engine.llm.streams import Reading
from rails_engine.llm.think import parted
from rails_engine.llm.wire import body_of, chunk_of


class RemoteLLM:
    """Implements `LLM` for one endpoint. Connections belong to the transport, which is shared."""

    def __init__(self, endpoint: Endpoint, transport: Transport) -> None:
        self.endpoint = endpoint
        self._transport = transport

    @property
    def model_name(self) -> str:
        return self.endpoint.model

    @property
    def provider_name(self) -> str:
        return self.endpoint.provider

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`."""
        self.endpoint.request_headers()
        timeout_s = min(self.endpoint.timeout_s, request.deadline_s or self.endpoint.timeout_s)
        body = body_of(request, self.endpoint)
        chunks = self._chunks(self._transport.exchange(self.endpoint, body, timeout_s))
        async with Reading(parted(chunks, streaming=bool(body.get("stream")))) as answer:
            async for chunk in answer:
                yield chunk

    async def _chunks(self, exchange: AsyncIterator[Any]) -> AsyncIterator[Chunk]:
        async with Reading(exchange) as answers:
            async for data in answers:
                try:
                    chunk = chunk_of(data)
                except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
                    reason = f"the answer has an unknown shape ({error!r})"
                    raise LLMResponseValidationError(reason, data, **self.endpoint.described()) from error
                yield chunk
