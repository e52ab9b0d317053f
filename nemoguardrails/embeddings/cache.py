"""A cache of embeddings for search providers of one's own."""

from rails_engine.config.schema import EmbeddingsCacheConfig
from rails_engine.retrieval import (
    CacheStore,
    EmbeddingsCache,
    FilesystemCacheStore,
    HashKeyGenerator,
    InMemoryCacheStore,
    KeyGenerator,
    MD5KeyGenerator,
    RedisCacheStore,
    SHA256KeyGenerator,
    cache_embeddings,
)

__all__ = [
    "CacheStore",
    "EmbeddingsCache",
    "EmbeddingsCacheConfig",
    "FilesystemCacheStore",
    "HashKeyGenerator",
    "InMemoryCacheStore",
    "KeyGenerator",
    "MD5KeyGenerator",
    "RedisCacheStore",
    "SHA256KeyGenerator",
    "cache_embeddings",
]
