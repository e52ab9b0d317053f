"""Windows over a stream of text, to use and to extend."""

from rails_engine import BufferStrategy, ChunkBatch, RollingBuffer, get_buffer_strategy

__all__ = ["BufferStrategy", "ChunkBatch", "RollingBuffer", "get_buffer_strategy"]
