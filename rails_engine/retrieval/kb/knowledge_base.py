"""The knowledge base: chunks in, questions in, the best chunks out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rails_engine.retrieval.base import Item, Searcher
from rails_engine.retrieval.kb.chunks import Chunk, ChunkSettings, cut
from rails_engine.retrieval.kb.documents import Document
from rails_engine.retrieval.kb.markdown import read_markdown

CHUNKS_SHOWN = 3
"""How many chunks an answer is given, unless asked otherwise."""


class KnowledgeBase:
    """Documents behind one search. `build` once; then searches may run concurrently."""

    def __init__(
        self, documents: Sequence[Document], searcher: Searcher, settings: ChunkSettings | None = None
    ) -> None:
        self._documents = tuple(documents)
        self._searcher = searcher
        self._settings = settings or ChunkSettings()
        self._chunks: tuple[Chunk, ...] = ()
        self._built = False
        self._building = asyncio.Lock()

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """All chunks, in the order of the documents; empty before `build`."""
        return self._chunks

    async def build(self) -> None:
        """Read, cut and index the documents; a second call does nothing.

        Raises:
            DocumentError: a document cannot be read.
            EmbeddingError: the chunks could not be embedded.
        """
        async with self._building:
            if self._built:
                return
            self._chunks = await asyncio.to_thread(self._cut_all)
            await self._searcher.add([_item(chunk) for chunk in self._chunks])
            await self._searcher.build()
            self._built = True

    async def search(
        self, text: str, limit: int = CHUNKS_SHOWN, threshold: float | None = None
    ) -> list[Chunk]:
        """The best chunks for `text`, best first; builds on the first call.

        Raises:
            DocumentError: a document cannot be read.
            EmbeddingError: the text could not be embedded.
        """
        if not self._built:
            await self.build()
        if not self._chunks:
            return []
        hits = await self._searcher.search(text, limit, threshold)
        return [chunk for hit in hits if isinstance(chunk := hit.item.meta.get("chunk"), Chunk)]

    async def search_relevant_chunks(
        self, text: str, max_results: int = CHUNKS_SHOWN
    ) -> list[dict[str, Any]]:
        """The same as plain dictionaries (`title`, `body`, the document's metadata, `source`), for users' actions."""
        return [chunk_as_dict(chunk) for chunk in await self.search(text, max_results)]

    def _cut_all(self) -> tuple[Chunk, ...]:
        return tuple(
            chunk
            for document in self._documents
            for chunk in cut(
                read_markdown(str(document.content), document.path), document.path, self._settings
            )
        )


def chunk_as_dict(chunk: Chunk) -> dict[str, Any]:
    """A chunk as users' actions and templates see it."""
    return {"title": chunk.title, "body": chunk.body, **chunk.meta, "source": str(chunk.provenance)}


def _item(chunk: Chunk) -> Item:
    return Item(chunk.text, {"title": chunk.title, "body": chunk.body, **chunk.meta, "chunk": chunk})
