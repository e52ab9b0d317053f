"""Windows over a stream of pieces, for code that checks a model's answer while it comes.

The engine's own windows (`windows`) know rails, reasoning and rewriting; these know texts alone, and are what users'
code takes and extends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import NamedTuple, Self

from rails_engine.config.schema import OutputRailsStreamingConfig


class ChunkBatch(NamedTuple):
    """One window: `processing_context` is what a check should see, `user_output_chunks` what is new in it."""

    processing_context: list[str]
    user_output_chunks: list[str]


class BufferStrategy(ABC):
    """How a stream is cut into windows."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: OutputRailsStreamingConfig) -> Self:
        """The strategy with the sizes of `rails.output.streaming`."""

    @abstractmethod
    def process_stream(self, streaming_handler: AsyncIterator[str]) -> AsyncGenerator[ChunkBatch, None]:
        """The windows of a stream, each as soon as it is full, the rest at the end."""

    @abstractmethod
    def format_chunks(self, chunks: Sequence[str]) -> str:
        """Pieces as one text."""

    def __call__(self, streaming_handler: AsyncIterator[str]) -> AsyncGenerator[ChunkBatch, None]:
        return self.process_stream(streaming_handler)


class RollingBuffer(BufferStrategy):
    """Windows of `buffer_chunk_size` pieces that begin with the last `buffer_context_size` of the one before.

        context 2, chunks 4:  [a b c d]  [c d e f]  [e f g]

    Raises:
        ValueError: a size is negative.
    """

    def __init__(self, buffer_context_size: int = 5, buffer_chunk_size: int = 10) -> None:
        if buffer_context_size < 0:
            raise ValueError("buffer_context_size must be non-negative")
        if buffer_chunk_size < 0:
            raise ValueError("buffer_chunk_size must be non-negative")
        self.buffer_context_size = buffer_context_size
        self.buffer_chunk_size = buffer_chunk_size

    @classmethod
    def from_config(cls, config: OutputRailsStreamingConfig) -> Self:
        """See `BufferStrategy.from_config`."""
        return cls(buffer_context_size=config.context_size, buffer_chunk_size=config.chunk_size)

    async def process_stream(self, streaming_handler: AsyncIterator[str]) -> AsyncGenerator[ChunkBatch, None]:
        """See `BufferStrategy.process_stream`."""
        held: list[str] = []
        fresh = 0
        async for piece in streaming_handler:
            held.append(piece)
            fresh += 1
            if len(held) >= self.buffer_chunk_size:
                yield ChunkBatch(held, held[-fresh:])
                held, fresh = held[max(len(held) - self.buffer_context_size, 0) :], 0
        if held:
            yield ChunkBatch(held, held[len(held) - fresh :])

    def format_chunks(self, chunks: Sequence[str]) -> str:
        """See `BufferStrategy.format_chunks`."""
        return "".join(chunks)


def get_buffer_strategy(config: OutputRailsStreamingConfig) -> BufferStrategy:
    """The strategy that `rails.output.streaming` asks for."""
    return RollingBuffer.from_config(config)
