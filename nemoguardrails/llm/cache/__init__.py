"""Caches for users' own code."""

from rails_engine.llm import CacheInterface, LFUCache

__all__ = ["CacheInterface", "LFUCache"]
