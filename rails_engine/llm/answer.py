"""A stream of chunks gathered into one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol

from rails_engine.llm.base import LLM, Chunk, LLMRequest, TokenLogprob, ToolCall, Usage
from rails_engine.llm.streams import Reading
from rails_engine.values import value_class


@value_class
class Completion:
    """A whole answer. `usage` is None where the model's server reports none; `others` as in `Chunk`."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    model: str | None = None
    request_id: str | None = None
    cached: bool = False
    metadata: Mapping[str, Any] | None = None
    others: tuple[str, ...] = ()


class Completing(LLM, Protocol):
    """A model that can be asked for a whole answer without the detour of a stream, which costs more than it says."""

    async def complete(self, request: LLMRequest) -> Completion:
        """The answer to a request that is not `streaming`.

        Raises:
            as `LLM.stream`.
        """
        ...


class Gathering:
    """Takes chunks in order and knows the answer so far."""

    def __init__(self) -> None:
        self._chunks: list[Chunk] = []

    def add(self, chunk: Chunk) -> None:
        """Take in the next chunk."""
        self._chunks.append(chunk)

    def result(self) -> Completion:
        """The answer as far as it has come; may be asked for more than once."""
        chunks = self._chunks
        if len(chunks) == 1:
            return completion_of(chunks[0])
        return Completion(
            text="".join(chunk.text for chunk in chunks),
            reasoning="".join(chunk.reasoning for chunk in chunks),
            tool_calls=tool_calls_of(chunks),
            finish_reason=_last(chunks, "finish_reason"),
            usage=next((c.usage for c in reversed(chunks) if c.usage), None),
            logprobs=tuple(item for chunk in chunks for item in chunk.logprobs),
            model=_last(chunks, "model"),
            request_id=_last(chunks, "request_id"),
            cached=bool(chunks) and all(chunk.cached for chunk in chunks),
            metadata=next((c.metadata for c in reversed(chunks) if c.metadata), None),
            others=tuple(text for chunk in chunks for text in chunk.others),
        )


def completion_of(chunk: Chunk) -> Completion:
    """The answer that came in one piece."""
    return Completion(
        chunk.text,
        chunk.reasoning,
        tool_calls_of([chunk]) if chunk.tool_calls else (),
        chunk.finish_reason,
        chunk.usage,
        chunk.logprobs,
        chunk.model,
        chunk.request_id,
        chunk.cached,
        chunk.metadata,
        chunk.others,
    )


def _last(chunks: list[Chunk], name: str) -> str | None:
    return next((value for chunk in reversed(chunks) if (value := getattr(chunk, name))), None)


def tool_calls_of(chunks: list[Chunk]) -> tuple[ToolCall, ...]:
    """The calls that the fragments of `chunks` make up, in the order of their indices."""
    ids: dict[int, str] = {}
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for chunk in chunks:
        for piece in chunk.tool_calls:
            ids[piece.index] = piece.id or ids.get(piece.index, "")
            names[piece.index] = names.get(piece.index, "") + (piece.name or "")
            arguments[piece.index] = arguments.get(piece.index, "") + piece.arguments
    return tuple(ToolCall(ids[i] or f"call_{i}", names[i], arguments[i]) for i in sorted(ids))


def complete(llm: LLM, request: LLMRequest) -> Awaitable[Completion]:
    """Run one request to its end.

    Raises:
        LLMClientError, ConfigurationError: as `LLM.stream`.
    """
    whole: Callable[[LLMRequest], Awaitable[Completion]] | None = getattr(llm, "complete", None)
    if whole is None or request.streaming:
        return gathered(llm.stream(request))
    return whole(request)


async def gathered(stream: AsyncIterator[Chunk]) -> Completion:
    """The whole answer of a stream, which is closed in any case."""
    gathering = Gathering()
    async with Reading(stream) as chunks:
        async for chunk in chunks:
            gathering.add(chunk)
    return gathering.result()
