"""Retrieval for one configuration: its documents are read when it is loaded, the rest is made when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rails_engine.config import RailsConfig
from rails_engine.error_boundary import ErrorBoundary

if TYPE_CHECKING:
    from rails_engine.retrieval import EmbeddingError, KnowledgeBase, Progress, RetrievalSetup, Searcher


class Searched(Protocol):
    """A knowledge base of a caller's own."""

    async def search_relevant_chunks(self, text: str) -> Sequence[Any]:
        """Mappings with a `body`, or texts, the nearest first."""
        ...


class Example(NamedTuple):
    """Something that a user may say, and the intent that it stands for."""

    text: str
    intent: str


class Knowledge:
    """What `kb/*.md` and `docs` say, and the search providers that the caller registered.

    `own` is a base of the caller's that takes the place of all this; None for none.
    """

    def __init__(self, config: RailsConfig) -> None:
        self._config = config
        self.providers: dict[str, type[Any]] = {}
        """The search providers that were registered, by name."""
        self.own: Searched | None = None
        self._setup: RetrievalSetup | None = None
        self._base: KnowledgeBase | None = None
        self._progress: Progress | None = None
        self._examples: tuple[Sequence[Example], Searcher] | None = None

    @property
    def setup(self) -> RetrievalSetup:
        """Searchers as the configuration wants them."""
        if self._setup is None:
            from rails_engine.retrieval import RetrievalSetup, SearchProviders

            providers = SearchProviders()
            for name, provider in self.providers.items():
                providers.register(name, provider)
            self._setup = RetrievalSetup(self._config, providers, self._tell)
        return self._setup

    @property
    def base(self) -> KnowledgeBase | Searched | None:
        """The knowledge base; None where the configuration has no documents, and the caller none of its own."""
        return self.own or self._documents

    @property
    def _documents(self) -> KnowledgeBase | None:
        if self._base is None and self._has_documents:
            self._base = self.setup.knowledge_base()
        return self._base

    @cached_property
    def _has_documents(self) -> bool:
        """Markdown is in `docs`; documents of other kinds are only in the folder. No turn looks for it again."""
        root, name = self._config.config_path, self._config.knowledge_base.folder
        return bool(self._config.docs) or (root is not None and Path(root, name).is_dir())

    def read(self) -> None:
        """Read the documents, so that a broken one is found when the configuration is loaded.

        Raises:
            DocumentError: a document cannot be read.
        """
        library = self.setup.library() if self._has_documents else None
        if library is not None:
            library.chunks()

    async def build(self, progress: Progress | None = None) -> None:
        """Index the documents now; `progress` hears of chunks embedded: how many, of how many.

        Raises:
            EmbeddingError: a text could not be embedded, or the engine is unknown.
        """
        documents = self._documents
        if documents is None:
            return
        self._progress = progress
        try:
            await documents.build()
        finally:
            self._progress = None

    async def close(self) -> None:
        """Close the connections of the running loop and the cache's file; the next use opens them again."""
        if self._setup is not None:
            await self._setup.aclose()

    def register(self, name: str, provider: type[Any]) -> None:
        """Let the configuration name a search provider; counts until the first search."""
        self.providers[name] = provider
        if self._setup is not None:
            self._setup.search_providers.register(name, provider)

    async def chunks(self, query: str) -> list[str] | None:
        """The chunks nearest to `query`, best first; None where there are no documents.

        Raises:
            EmbeddingError: a text could not be embedded.
        """
        if self.own is not None:
            with ErrorBoundary(_failed):
                return [_text_of(chunk) for chunk in await self.own.search_relevant_chunks(query)]
        base = self._documents
        return None if base is None else [chunk.body for chunk in await base.search(query)]

    async def nearest(self, examples: Sequence[Example], said: str, limit: int) -> list[Example]:
        """Those of the examples that are nearest to what was said, best first; the latest ones stay indexed.

        Raises:
            EmbeddingError: a text could not be embedded, or the search provider is unknown or failed.
        """
        from rails_engine.retrieval import Item

        with ErrorBoundary(_search_failed):
            if self._examples is None or self._examples[0] != examples:
                searcher = self.setup.searcher()
                await searcher.add([Item(example.text, {"intent": example.intent}) for example in examples])
                await searcher.build()
                self._examples = examples, searcher
            hits = await self._examples[1].search(said, limit)
        return [Example(hit.item.text, str(hit.item.meta["intent"])) for hit in hits]

    def _tell(self, done: int, of: int) -> None:
        if self._progress is not None:
            self._progress(done, of)


def _text_of(chunk: Any) -> str:
    return str(chunk.get("body") or "") if isinstance(chunk, Mapping) else str(chunk)


def _failed(error: Exception) -> EmbeddingError:
    from rails_engine.retrieval import EmbeddingError

    return EmbeddingError(f"the knowledge base of the caller failed: {error!r}")


def _search_failed(error: Exception) -> EmbeddingError:
    from rails_engine.retrieval import EmbeddingError

    return error if isinstance(error, EmbeddingError) else EmbeddingError(f"the search failed: {error!r}")
