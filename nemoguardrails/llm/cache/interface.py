"""What a cache has to offer."""

from rails_engine.llm import CacheInterface

__all__ = ["CacheInterface"]
