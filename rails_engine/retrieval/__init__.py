"""Retrieval: embeddings, vector indexes, the knowledge base and intents.

Three protocols carry everything (`base`): an `Embedder` turns texts into unit vectors, an `Index` finds a vector's
neighbours by inner product, and a `Searcher` joins them over items. The knowledge base cuts documents into chunks that
know their file, headings and lines, and asks a searcher for the best; intents do the same with example utterances.
Nothing here is loaded until a configuration has something to search, and nothing is fetched from a network unless the
configuration names a model or an endpoint that lives there.
"""

from typing import TYPE_CHECKING, Any

from rails_engine.retrieval.base import Embedder, EmbeddingKind, Hit, Index, Item, Searcher
from rails_engine.retrieval.basic_index import BasicEmbeddingsIndex
from rails_engine.retrieval.custom_providers import (
    EmbeddingModel,
    EmbeddingsIndex,
    IndexItem,
    cosine_of,
    similarity_of,
)
from rails_engine.retrieval.embedding import Endpoint, EndpointEmbedder, StaticEmbedder
from rails_engine.retrieval.errors import (
    DimensionError,
    DocumentError,
    EmbeddingConfigError,
    EmbeddingError,
    EmbeddingRemoteError,
    IndexFormatError,
    IndexStorageError,
    RetrievalError,
)
from rails_engine.retrieval.hybrid import HybridSearcher, RerankedSearcher, Reranker
from rails_engine.retrieval.index import ExactIndex, IndexSettings, make_index
from rails_engine.retrieval.intents import IntentIndex, IntentMatch, Intents
from rails_engine.retrieval.kb import (
    Answer,
    Chunk,
    ChunkSettings,
    Citation,
    Document,
    KnowledgeBase,
    Provenance,
    Sources,
    citations_in,
    numbered,
)
from rails_engine.retrieval.lexical import LexicalSearcher
from rails_engine.retrieval.public_cache import (
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
from rails_engine.retrieval.public_models import (
    AzureEmbeddingModel,
    CohereEmbeddingModel,
    FastEmbedEmbeddingModel,
    GoogleEmbeddingModel,
    NIMEmbeddingModel,
    NVIDIAAIEndpointsEmbeddingModel,
    OpenAIEmbeddingModel,
    SentenceTransformerEmbeddingModel,
    init_embedding_model,
)
from rails_engine.retrieval.registry import EMBEDDING_PROVIDERS, EmbeddingProviders, SearchProviders
from rails_engine.retrieval.searcher import SearcherSettings, VectorSearcher

if TYPE_CHECKING:
    from rails_engine.retrieval.setup import RetrievalSetup

__all__ = [
    "EMBEDDING_PROVIDERS",
    "Answer",
    "AzureEmbeddingModel",
    "BasicEmbeddingsIndex",
    "CacheStore",
    "Chunk",
    "ChunkSettings",
    "Citation",
    "CohereEmbeddingModel",
    "DimensionError",
    "Document",
    "DocumentError",
    "Embedder",
    "EmbeddingConfigError",
    "EmbeddingError",
    "EmbeddingKind",
    "EmbeddingModel",
    "EmbeddingProviders",
    "EmbeddingRemoteError",
    "EmbeddingsCache",
    "EmbeddingsIndex",
    "Endpoint",
    "EndpointEmbedder",
    "ExactIndex",
    "FastEmbedEmbeddingModel",
    "FilesystemCacheStore",
    "GoogleEmbeddingModel",
    "HashKeyGenerator",
    "Hit",
    "HybridSearcher",
    "InMemoryCacheStore",
    "Index",
    "IndexFormatError",
    "IndexItem",
    "IndexSettings",
    "IndexStorageError",
    "IntentIndex",
    "IntentMatch",
    "Intents",
    "Item",
    "KeyGenerator",
    "KnowledgeBase",
    "LexicalSearcher",
    "MD5KeyGenerator",
    "NIMEmbeddingModel",
    "NVIDIAAIEndpointsEmbeddingModel",
    "OpenAIEmbeddingModel",
    "Provenance",
    "RedisCacheStore",
    "RerankedSearcher",
    "Reranker",
    "RetrievalError",
    "RetrievalSetup",
    "SHA256KeyGenerator",
    "SearchProviders",
    "Searcher",
    "SearcherSettings",
    "SentenceTransformerEmbeddingModel",
    "Sources",
    "StaticEmbedder",
    "VectorSearcher",
    "cache_embeddings",
    "citations_in",
    "cosine_of",
    "init_embedding_model",
    "make_index",
    "numbered",
    "similarity_of",
]


def __getattr__(name: str) -> Any:
    """`RetrievalSetup` alone knows configurations, whose schema takes longer to import than all the rest."""
    if name == "RetrievalSetup":
        from rails_engine.retrieval.setup import RetrievalSetup

        return RetrievalSetup
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
