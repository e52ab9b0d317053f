"""A pipe for pieces of text."""

from rails_engine import END_OF_STREAM, StreamingHandler

__all__ = ["END_OF_STREAM", "StreamingHandler"]
