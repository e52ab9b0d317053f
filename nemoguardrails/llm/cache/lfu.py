"""The cache whose least used values go first."""

from rails_engine.llm import LFUCache

__all__ = ["LFUCache"]
