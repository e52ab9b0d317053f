"""The searcher of our own: an embedder and an index over the items.

An item's place in the index is the hash of its text, so what is already there need not be embedded again: `build`
compares the wanted hashes with those that the index holds and embeds only the difference. With a folder the index
outlives the process, and a changed document costs what changed in it. A folder that is stale or was tampered with is
built anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import Embedder, EmbeddingKind, Hit, Index, Item, Progress
from rails_engine.retrieval.errors import IndexFormatError, IndexStorageError
from rails_engine.retrieval.index import make_index

MakeIndex: TypeAlias = Callable[[int, int], Index]
"""Makes an empty index from the dimension and the number of vectors to expect."""

_log = logging.getLogger(__name__)
_TEXTS_AT_ONCE = 256
_QUICK_UP_TO = 20_000
"""Vectors up to which a search is done on the spot; a larger one leaves the event loop free."""


@dataclass(frozen=True, slots=True)
class SearcherSettings:
    """`folder` keeps the index; `progress` hears of texts embedded; `kind` is what the items are embedded as."""

    make_index: MakeIndex = make_index
    kind: EmbeddingKind = EmbeddingKind.PASSAGE
    folder: Path | None = None
    progress: Progress | None = None


class VectorSearcher:
    """A `Searcher`: items are embedded on `build`, queries on `search`."""

    def __init__(self, embedder: Embedder, settings: SearcherSettings | None = None) -> None:
        self._embedder = embedder
        self._settings = settings or SearcherSettings()
        self._items: dict[int, list[Item]] = {}
        self._index: Index | None = None
        self._changed = False
        self._restricted: dict[str | None, NDArray[np.int64] | None] = {}
        self._building = asyncio.Lock()
        self._using = asyncio.Lock()

    @property
    def embedder(self) -> Embedder:
        """What embeds its texts and queries."""
        return self._embedder

    async def add(self, items: Sequence[Item]) -> None:
        """See `Searcher.add`."""
        for item in items:
            self._items.setdefault(content_id(item.text), []).append(item)
        self._note_change()

    async def remove(self, items: Sequence[Item]) -> None:
        """Forget these items; unknown ones are ignored. They are found until the next `build`."""
        for item in items:
            id_ = content_id(item.text)
            kept = [one for one in self._items.get(id_, ()) if one != item]
            if kept:
                self._items[id_] = kept
            else:
                self._items.pop(id_, None)
        self._note_change()

    async def build(self) -> None:
        """See `Searcher.build`."""
        async with self._building:
            if not self._changed and self._index is not None:
                return
            wanted = dict(self._items)
            self._changed, built = False, False
            try:
                await self._bring_to(wanted)
                built = True
            finally:
                if not built:  # cancelled or failed alike: the next call tries again
                    self._changed = True

    async def search(
        self, text: str, limit: int, threshold: float | None = None, tenant: str | None = None
    ) -> list[Hit]:
        """See `Searcher.search`."""
        if self._changed:
            await self.build()
        index = self._index
        if index is None or not len(index) or limit < 1:
            return []
        vector = await self._embedder.embed([text], EmbeddingKind.QUERY)
        only = self._seen_by(tenant)
        async with self._using:
            count = min(limit, len(index))
            if len(index) <= _QUICK_UP_TO:
                ids, scores = index.search(vector, count, only)
            else:
                ids, scores = await asyncio.to_thread(index.search, vector, count, only)
        hits = [
            Hit(item, score)
            for id_, score in zip(ids[0].tolist(), scores[0].tolist(), strict=True)
            if threshold is None or score >= threshold
            for item in self._items.get(id_, ())
            if item.tenant in (None, tenant)
        ]
        return hits[:limit]

    def _note_change(self) -> None:
        self._changed = True
        self._restricted.clear()

    async def _bring_to(self, wanted: dict[int, list[Item]]) -> None:
        """Make the index hold exactly the wanted texts."""
        index = self._index or await self._opened(len(wanted))
        ids = np.fromiter(wanted, np.int64, len(wanted))
        gone = np.setdiff1d(index.ids, ids)
        fresh = np.setdiff1d(ids, index.ids)
        vectors = await self._embedded([wanted[id_][0].text for id_ in fresh.tolist()])
        async with self._using:
            await asyncio.to_thread(_change, index, gone, fresh, vectors)
        self._index = index
        if self._settings.folder is not None and (len(gone) or len(fresh)):
            await self._save(index, self._settings.folder)

    async def _embedded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        parts = [np.empty((0, await self._embedder.dimension()), np.float32)]
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            parts.append(
                await self._embedder.embed(texts[start : start + _TEXTS_AT_ONCE], self._settings.kind)
            )
            if self._settings.progress is not None:
                self._settings.progress(min(start + _TEXTS_AT_ONCE, len(texts)), len(texts))
        return np.concatenate(parts)

    async def _opened(self, count: int) -> Index:
        """An empty index for `count` vectors, or what the folder holds of the same kind and model."""
        index = self._settings.make_index(await self._embedder.dimension(), count)
        if self._settings.folder is None:
            return index
        try:
            await asyncio.to_thread(index.load, self._settings.folder, self._embedder.model_name)
        except IndexFormatError as error:
            _log.info("%s", error)
        return index

    async def _save(self, index: Index, folder: Path) -> None:
        """Keep the index; where that fails the searcher works on from memory."""
        try:
            async with self._using:
                await asyncio.to_thread(index.save, folder, self._embedder.model_name)
        except IndexStorageError as error:
            _log.warning("%s", error)

    def _seen_by(self, tenant: str | None) -> NDArray[np.int64] | None:
        """The ids that a tenant sees, None where everything is everybody's."""
        if tenant not in self._restricted:
            seen = [
                id_
                for id_, items in self._items.items()
                if any(item.tenant in (None, tenant) for item in items)
            ]
            everything = len(seen) == len(self._items)
            self._restricted[tenant] = None if everything else np.array(seen, np.int64)
        return self._restricted[tenant]


def content_id(text: str) -> int:
    """The first 63 bits of the text's SHA-256."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def _change(
    index: Index, gone: NDArray[np.int64], fresh: NDArray[np.int64], vectors: NDArray[np.float32]
) -> None:
    if len(gone):
        index.remove(gone)
    if len(fresh):
        index.add(fresh, vectors)
