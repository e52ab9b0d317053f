"""A pipe for pieces of text."""

from rails_engine.streaming_handler import END_OF_STREAM, StreamingHandler

__all__ = ["END_OF_STREAM", "StreamingHandler"]
