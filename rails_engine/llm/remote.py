"""A remote model as an `LLM`: a request becomes a body, what comes back becomes chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator

from rails_engine.errors import LLMResponseValidationError
from rails_engine.llm.answer import Completion, completion_of, gathered
from rails_engine.llm.base import Chunk, LLMRequest
from rails_engine.llm.endpoint import Endpoint, Reply, Transport
from rails_engine.llm.streams import Reading
from rails_engine.llm.think import parted, undivided
from rails_engine.llm.wire import body_of, chunk_of


class RemoteLLM:
    """Implements `LLM` for one endpoint. Connections belong to the transport, which is shared."""

    def __init__(self, endpoint: Endpoint, transport: Transport) -> None:
        self.endpoint = endpoint
        self.model_name = endpoint.model
        self.provider_name = endpoint.provider
        self._channel = transport.channel(endpoint)

    @property
    def provider_url(self) -> str:
        """The address of the endpoint."""
        return self.endpoint.base_url

    @property
    def gives_samples(self) -> bool:
        """True: endpoints take `n`; what one does not give, `several` asks for again."""
        return True

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`."""
        body = body_of(request, self.endpoint)
        if not body.get("stream"):
            yield undivided(self._chunk(await self._channel.answer(body, self._timeout_s(request))))
            return
        events = self._channel.events(body, self._timeout_s(request))
        async with Reading(parted(self._chunks(events), streaming=True)) as answer:
            async for chunk in answer:
                yield chunk

    async def complete(self, request: LLMRequest) -> Completion:
        """See `Completing.complete`."""
        body = body_of(request, self.endpoint)
        if body.get("stream"):
            return await gathered(self.stream(request))
        reply = await self._channel.answer(body, self._timeout_s(request))
        return completion_of(undivided(self._chunk(reply)))

    def _timeout_s(self, request: LLMRequest) -> float:
        longest, asked = self.endpoint.timeout_s, request.deadline_s
        return longest if not asked else min(longest, asked)

    async def _chunks(self, events: AsyncIterator[Reply]) -> AsyncIterator[Chunk]:
        async with Reading(events) as answers:
            async for reply in answers:
                yield self._chunk(reply)

    def _chunk(self, reply: Reply) -> Chunk:
        try:
            return chunk_of(reply.data, {"response_headers": reply.headers})
        except (TypeError, KeyError, IndexError, ValueError, AttributeError) as error:
            reason = f"the answer has an unknown shape ({error!r})"
            raise LLMResponseValidationError(reason, reply.data, **self.endpoint.described()) from error
