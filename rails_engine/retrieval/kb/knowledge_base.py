"""The knowledge base: chunks in, questions in, the best chunks out."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rails_engine.retrieval.base import Embedder, Hit, Item, Searcher
from rails_engine.retrieval.kb.chunks import Chunk, ChunkSettings, Provenance, cut
from rails_engine.retrieval.kb.documents import Document, read_document, read_folder
from rails_engine.retrieval.kb.extract import Answer, ExtractSettings, extract_answer

CHUNKS_SHOWN = 3
"""How many chunks an answer is given, unless asked otherwise."""
_CHUNKS_READ = 8
"""How many chunks an extracted answer is looked for in."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the documents are: given ones, and all those below a folder."""

    documents: tuple[Document, ...] = ()
    folder: Path | None = None

    def read(self) -> list[Document]:
        """Every document; a given one that the folder holds too counts once.

        Raises:
            DocumentError: the folder holds a file that cannot be read.
        """
        found = read_folder(self.folder) if self.folder is not None else []
        held = {_comparable(document.content) for document in found}
        return found + [document for document in self.documents if _comparable(document.content) not in held]


class Library:
    """Documents read and cut, once."""

    def __init__(self, sources: Sources, settings: ChunkSettings | None = None) -> None:
        self._sources = sources
        self._settings = settings or ChunkSettings()
        self._chunks: tuple[Chunk, ...] | None = None

    def chunks(self) -> tuple[Chunk, ...]:
        """All chunks, in the order of the documents.

        Raises:
            DocumentError: a document cannot be read.
        """
        if self._chunks is None:
            self._chunks = tuple(
                chunk
                for document in self._sources.read()
                for chunk in cut(read_document(document), document.path, self._settings)
            )
        return self._chunks


class KnowledgeBase:
    """Documents behind one search. `build` once; then searches may run concurrently."""

    def __init__(
        self,
        documents: Library | Sequence[Document],
        searcher: Searcher,
        embedder: Embedder | None = None,
    ) -> None:
        """`embedder` finds the sentences of extracted answers; without one there are none."""
        self._library = documents if isinstance(documents, Library) else Library(Sources(tuple(documents)))
        self._searcher = searcher
        self._embedder = embedder
        self._chunks: dict[tuple[str, str], Chunk] = {}
        self._built = False
        self._building = asyncio.Lock()

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """All chunks, in the order of the documents.

        Raises:
            DocumentError: a document cannot be read.
        """
        return self._library.chunks()

    async def build(self) -> None:
        """Read, cut and index the documents; a second call does nothing.

        Raises:
            DocumentError: a document cannot be read.
            EmbeddingError: the chunks could not be embedded.
        """
        async with self._building:
            if self._built:
                return
            chunks = await asyncio.to_thread(self._library.chunks)
            self._chunks = {(str(chunk.provenance), chunk.body): chunk for chunk in chunks}
            await self._searcher.add([_item(chunk) for chunk in chunks])
            await self._searcher.build()
            self._built = True

    async def search(
        self, text: str, limit: int = CHUNKS_SHOWN, threshold: float | None = None, tenant: str | None = None
    ) -> list[Chunk]:
        """The best chunks for `text`, best first; builds on the first call.

        A document whose metadata has a `tenant` is seen by that tenant alone.

        Raises:
            DocumentError: a document cannot be read.
            EmbeddingError: the text could not be embedded.
        """
        if not self._built:
            await self.build()
        if not self._chunks:
            return []
        return [self._chunk(hit) for hit in await self._searcher.search(text, limit, threshold, tenant)]

    async def search_relevant_chunks(
        self, text: str, max_results: int = CHUNKS_SHOWN
    ) -> list[dict[str, Any]]:
        """The same as plain dictionaries (`title`, `body`, the document's metadata, `source`), for users' actions."""
        return [dict(chunk) for chunk in await self.search(text, max_results)]

    async def answer(
        self, question: str, settings: ExtractSettings | None = None, tenant: str | None = None
    ) -> Answer | None:
        """An answer in the documents' own words, None where they hold none or there is no embedder.

        Raises:
            DocumentError: a document cannot be read.
            EmbeddingError: a text could not be embedded.
        """
        if self._embedder is None:
            return None
        chunks = await self.search(question, _CHUNKS_READ, tenant=tenant)
        return await extract_answer(question, chunks, self._embedder, settings)

    def _chunk(self, hit: Hit) -> Chunk:
        """The chunk that was found; a search provider of a user's own may find what the documents do not hold."""
        meta = dict(hit.item.meta)
        title, source = str(meta.pop("title", "")), str(meta.pop("source", ""))
        body = str(meta.pop("body", hit.item.text))
        held = self._chunks.get((source, body))
        return held or Chunk(title, body, Provenance(source, (), 0, 0), meta)


def _item(chunk: Chunk) -> Item:
    tenant = chunk.meta.get("tenant")
    return Item(chunk.text, dict(chunk), None if tenant is None else str(tenant))


def _comparable(content: str | bytes) -> bytes:
    """Content without a byte order mark and with one kind of line end, as a configuration holds the text of its files."""
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return raw.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
