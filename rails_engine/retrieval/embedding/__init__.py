"""Embedders: texts to vectors, by models inside the process and by endpoints.

`engines` turns the names that configurations write into embedders. Inside the process: `static`, the shipped default
(numpy, no model), over the tokens of `wordpiece`; `encoder`, sentence encoders in torch over the forward pass of `bert`;
`packages`, FastEmbed and SentenceTransformers. Outside: `endpoint`, everything OpenAI-compatible; `services`, Cohere and
Google. `cache` and `batching` are folded round any of them.
"""

from rails_engine.retrieval.embedding.batching import BatchingEmbedder
from rails_engine.retrieval.embedding.cache import CachingEmbedder, cache_key
from rails_engine.retrieval.embedding.encoder import (
    EncoderSettings,
    LocalEncoder,
    batches_by_length,
    load_tokenizer,
    padded,
    pick_device,
)
from rails_engine.retrieval.embedding.endpoint import Endpoint, EndpointEmbedder
from rails_engine.retrieval.embedding.engines import embedder_for, is_built_in, plain_name
from rails_engine.retrieval.embedding.services import ServiceEmbedder
from rails_engine.retrieval.embedding.static import StaticEmbedder
from rails_engine.retrieval.embedding.stores import MemoryStore, RedisStore, SqliteStore, VectorStore

__all__ = [
    "BatchingEmbedder",
    "CachingEmbedder",
    "EncoderSettings",
    "Endpoint",
    "EndpointEmbedder",
    "LocalEncoder",
    "MemoryStore",
    "RedisStore",
    "ServiceEmbedder",
    "SqliteStore",
    "StaticEmbedder",
    "VectorStore",
    "batches_by_length",
    "cache_key",
    "embedder_for",
    "is_built_in",
    "load_tokenizer",
    "padded",
    "pick_device",
    "plain_name",
]
