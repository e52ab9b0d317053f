"""Embedders: texts to vectors, by models inside the process and by endpoints.

`engines` turns the names that configurations write into embedders. Inside the process: `static`, the shipped default
(numpy, no model), over the tokens of `wordpiece`; `encoder` and `cross_encoder`, in torch over the forward pass of
`bert` or, encoders, in ONNX Runtime (`onnx_encoder`); `packages`, FastEmbed and SentenceTransformers. Outside:
`endpoint`, everything OpenAI-compatible; `services`, Cohere and Google. `cache` and `batching` are folded round any
of them.
"""

from rails_engine.retrieval.embedding.batching import BatchingEmbedder
from rails_engine.retrieval.embedding.cache import CachingEmbedder, cache_key
from rails_engine.retrieval.embedding.cross_encoder import CrossEncoder
from rails_engine.retrieval.embedding.encoder import EncoderSettings, LocalEncoder
from rails_engine.retrieval.embedding.endpoint import Endpoint, EndpointEmbedder
from rails_engine.retrieval.embedding.engines import embedder_for, is_built_in, plain_name
from rails_engine.retrieval.embedding.services import ServiceEmbedder
from rails_engine.retrieval.embedding.static import StaticEmbedder
from rails_engine.retrieval.embedding.stores import (
    MemoryStore,
    RedisStore,
    SqliteStore,
    VectorStore,
    store_for,
)

__all__ = [
    "BatchingEmbedder",
    "CachingEmbedder",
    "CrossEncoder",
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
    "cache_key",
    "embedder_for",
    "is_built_in",
    "plain_name",
    "store_for",
]
