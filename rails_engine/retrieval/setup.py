"""What one configuration retrieves with: its embedder, its searchers, its knowledge base.

The embedding model is the one of `models` with type `embeddings`, unless a search provider's parameters name another;
where neither does, it is the built-in one. Embedders are shared between searchers that name the same.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rails_engine.config import RailsConfig
from rails_engine.config.schema import EmbeddingSearchProvider
from rails_engine.retrieval.base import Embedder, Progress, Searcher
from rails_engine.retrieval.custom_providers import CustomSearcher, cosine_of
from rails_engine.retrieval.embedding import (
    BatchingEmbedder,
    CachingEmbedder,
    EndpointEmbedder,
    SqliteStore,
    is_built_in,
    store_for,
)
from rails_engine.retrieval.hybrid import HybridSearcher, RerankedSearcher
from rails_engine.retrieval.index import IndexSettings, make_index
from rails_engine.retrieval.intents import FittedHeads, IntentIndex, Intents, SearchedIntents, cache_folder
from rails_engine.retrieval.kb import ChunkSettings, Document, KnowledgeBase, Library, Sources
from rails_engine.retrieval.lexical import LexicalSearcher
from rails_engine.retrieval.registry import EMBEDDING_PROVIDERS, SearchProviders
from rails_engine.retrieval.rerankers import reranker_for
from rails_engine.retrieval.scale import built_in_cosine
from rails_engine.retrieval.searcher import SearcherSettings, VectorSearcher

_log = logging.getLogger(__name__)
_KNOWN_PARAMETERS = frozenset(
    {
        "embedding_engine",
        "embedding_model",
        "embedding_parameters",
        "use_batching",
        "max_batch_size",
        "max_batch_hold",
        "matx_batch_hold",  # the spelling that older configurations carry
        "search_threshold",
        "index",
    }
)


@dataclass(frozen=True, slots=True)
class EmbeddingChoice:
    """An embedding model as a configuration names it; engine None is the built-in one."""

    engine: str | None = None
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


class RetrievalSetup:
    """Makes the parts for one configuration, lazily; nothing is read or asked before its first use."""

    def __init__(
        self,
        config: RailsConfig,
        search_providers: SearchProviders | None = None,
        progress: Progress | None = None,
    ) -> None:
        """`progress` hears of documents being embedded: texts done, of how many."""
        self._config = config
        self._progress = progress
        self._search_providers = search_providers or SearchProviders()
        self._embedders: dict[str, Embedder] = {}
        self._mapped: set[float] = set()
        self._open: list[EndpointEmbedder | SqliteStore] = []
        self._library: Library | None = None

    async def aclose(self) -> None:
        """Close the connections of the running loop, and the files; the next use opens them again."""
        for part in self._open:
            if isinstance(part, SqliteStore):
                part.close()
            else:
                await part.aclose()

    @property
    def search_providers(self) -> SearchProviders:
        """The providers that the configuration may name."""
        return self._search_providers

    def embedder(self, provider: EmbeddingSearchProvider | None = None) -> Embedder:
        """The embedder of a search provider (default: the core one), with its cache and batching round it.

        Raises:
            EmbeddingConfigError: the engine is unknown or lacks what it needs.
        """
        chosen = provider or self._config.core.embedding_search_provider
        key = repr((self.choice(chosen), chosen.cache, sorted(chosen.parameters.items(), key=repr)))
        if key not in self._embedders:
            self._embedders[key] = self._made(chosen)
        return self._embedders[key]

    def choice(self, provider: EmbeddingSearchProvider | None = None) -> EmbeddingChoice:
        """The embedding model that a search provider (default: the core one) uses."""
        parameters = (provider or self._config.core.embedding_search_provider).parameters
        default = self._default_choice()
        engine = parameters.get("embedding_engine", default.engine)
        model = parameters.get("embedding_model", default.model)
        own = parameters.get("embedding_parameters")
        return EmbeddingChoice(engine, model, default.parameters if own is None else own)

    def searcher(
        self, provider: EmbeddingSearchProvider | None = None, folder: Path | None = None
    ) -> Searcher:
        """A new, empty searcher of a search provider (default: the core one); `folder` keeps its index.

        Raises:
            EmbeddingConfigError: the provider or its engine is unknown, or lacks what it needs.
        """
        chosen = provider or self._config.core.embedding_search_provider
        foreign = self._search_providers.make(chosen.name, chosen.parameters)
        if foreign is not None:
            return CustomSearcher(foreign)
        _warn_of_unknown(chosen.parameters)
        settings = IndexSettings.read(chosen.parameters.get("index") or {})
        return VectorSearcher(
            self.embedder(chosen),
            SearcherSettings(
                make_index=lambda dimension, count: make_index(dimension, count, settings),
                folder=folder,
                progress=self._progress,
            ),
        )

    def threshold(self, similarity: float, provider: EmbeddingSearchProvider | None = None) -> float:
        """The cosine for a threshold of the configuration, on the scale of the embedder that is used.

        Where no engine is named the threshold was chosen on another embedder's scale; it is mapped, and that is said.
        """
        chosen = provider or self._config.core.embedding_search_provider
        cosine = cosine_of(similarity)
        if chosen.name in self._search_providers or self.choice(chosen).engine is not None:
            return cosine
        mapped = built_in_cosine(cosine)
        if similarity in self._mapped:
            return mapped
        self._mapped.add(similarity)
        _log.warning(
            "the similarity threshold %.3g was read on the scale of all-MiniLM-L6-v2; the built-in embedder, used because "
            "the configuration names no embedding engine, has another scale, so it is applied as cosine %.3f instead of "
            "%.3f. Name the engine (`models: - type: embeddings, engine: built-in, ...`) to set it on its own scale.",
            similarity,
            mapped,
            cosine,
        )
        return mapped

    def intents(
        self, examples: Mapping[str, Sequence[str]] | None = None, heads: FittedHeads | None = None
    ) -> Intents:
        """The user's intents over the core search provider; not built yet.

        `examples` default to the configuration's; `heads` keeps what is fitted.

        Raises:
            EmbeddingConfigError: the provider or its engine is unknown, or lacks what it needs.
        """
        provider = self._config.core.embedding_search_provider
        said = self._config.user_messages if examples is None else examples
        foreign = self._search_providers.make(provider.name, provider.parameters)
        if foreign is not None:
            return SearchedIntents(said, CustomSearcher(foreign))
        _warn_of_unknown(provider.parameters)
        return IntentIndex(said, self.embedder(provider), heads or FittedHeads(cache_folder() / "intents"))

    def knowledge_base(self) -> KnowledgeBase | None:
        """The knowledge base over the configuration's documents, None where it has none; not built yet.

        Raises:
            EmbeddingConfigError: its search provider or engine is unknown, or lacks what it needs.
        """
        config = self._config.knowledge_base
        library = self.library()
        if library is None:
            return None
        provider = config.embedding_search_provider
        searcher = self.searcher(provider, self._index_folder())
        own = isinstance(searcher, VectorSearcher)
        if own and (config.search == "hybrid" or (config.search == "auto" and self._is_built_in(provider))):
            searcher = HybridSearcher(searcher, LexicalSearcher())
        if config.rerank is not None:
            searcher = RerankedSearcher(searcher, reranker_for(config.rerank), config.rerank.candidates)
        return KnowledgeBase(library, searcher, self.embedder(provider) if own else None)

    def library(self) -> Library | None:
        """The configuration's documents, None where it has none; read on the first use."""
        if self._library is None:
            sources = self._sources()
            if sources is not None:
                chunking = ChunkSettings(**self._config.knowledge_base.chunking.model_dump())
                self._library = Library(sources, chunking)
        return self._library

    def _sources(self) -> Sources | None:
        """The configuration's documents and its `kb` folder; None where there is neither."""
        name = self._config.knowledge_base.folder
        documents = tuple(
            Document(f"{name}/{number}.{document.format}", document.content, document.format)
            for number, document in enumerate(self._config.docs or (), start=1)
        )
        root = Path(self._config.config_path) if self._config.config_path else None
        folder = root / name if root is not None and (root / name).is_dir() else None
        return Sources(documents, folder) if documents or folder is not None else None

    def _index_folder(self) -> Path | None:
        """Where the knowledge base's index is kept: where vectors cost little, nowhere unless asked for."""
        config = self._config.knowledge_base
        if config.index_folder is not None:
            return Path(config.index_folder).expanduser()
        if self._is_built_in(config.embedding_search_provider) or not self._config.config_path:
            return None
        name = f"{Path(self._config.config_path).resolve()}|{self.choice(config.embedding_search_provider)}"
        return cache_folder() / "kb" / hashlib.sha256(name.encode()).hexdigest()[:32]

    def _is_built_in(self, provider: EmbeddingSearchProvider) -> bool:
        return is_built_in(self.choice(provider).engine)

    def _made(self, provider: EmbeddingSearchProvider) -> Embedder:
        choice = self.choice(provider)
        embedder = EMBEDDING_PROVIDERS.embedder(choice.engine, choice.model, choice.parameters)
        if isinstance(embedder, EndpointEmbedder):
            self._open.append(embedder)
        if provider.cache.enabled:
            store = store_for(provider.cache)
            if isinstance(store, SqliteStore):
                self._open.append(store)
            embedder = CachingEmbedder(embedder, store)
        parameters = provider.parameters
        if parameters.get("use_batching", not is_built_in(choice.engine)):
            hold = parameters.get("max_batch_hold", parameters.get("matx_batch_hold", 0.0))
            embedder = BatchingEmbedder(embedder, int(parameters.get("max_batch_size", 32)), float(hold))
        return embedder

    def _default_choice(self) -> EmbeddingChoice:
        for model in self._config.models:
            if model.type == "embeddings":
                parameters = dict(model.parameters)
                if model.api_key_env_var and "api_key" not in parameters:
                    parameters["api_key"] = os.environ.get(model.api_key_env_var)
                return EmbeddingChoice(model.engine, model.model, parameters)
        return EmbeddingChoice()


def _warn_of_unknown(parameters: Mapping[str, Any]) -> None:
    for key in sorted(set(parameters) - _KNOWN_PARAMETERS):
        _log.warning("the default embedding search provider has no parameter %r; it has no effect", key)
