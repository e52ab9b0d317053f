"""The knowledge base of a configuration, made when it is first asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rails_engine.config import RailsConfig

if TYPE_CHECKING:
    from rails_engine.retrieval import KnowledgeBase, Searcher


class Knowledge:
    """What `kb/*.md` and `docs` say; nothing is embedded before the first question."""

    def __init__(self, config: RailsConfig, searcher: Searcher | None) -> None:
        self._documents = [doc for doc in config.docs or () if doc.content]
        self._searcher = searcher
        self._base: KnowledgeBase | None = None

    @property
    def base(self) -> KnowledgeBase | None:
        """The knowledge base; None where the configuration has no documents."""
        if self._base is None and self._documents and self._searcher is not None:
            from rails_engine.retrieval import Document, KnowledgeBase

            documents = [
                Document(f"kb/{n}.{doc.format}", doc.content) for n, doc in enumerate(self._documents)
            ]
            self._base = KnowledgeBase(documents, self._searcher)
        return self._base

    async def chunks(self, query: str) -> list[str] | None:
        """The chunks nearest to `query`, best first; None where there are no documents.

        Raises:
            EmbeddingError: a text could not be embedded.
        """
        base = self.base
        return None if base is None else [chunk.body for chunk in await base.search(query)]
