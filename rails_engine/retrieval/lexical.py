"""Search by words: Okapi BM25 (Robertson and Zaragoza 2009) over postings kept as arrays.

Words are lower-cased and lose a plural or verbal ending, so that `cards` finds `card`; CJK text, which has no spaces,
is taken by pairs of letters. A word's weight in a document is computed when the postings are made, so a query is a sum
of short arrays.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import Hit, Item

_SATURATION = 1.2
_LENGTH_SHARE = 0.75
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+|[^\W_]+")
_ENDINGS = ("ies", "ing", "ed", "es", "s")
_SHORTEST_STEM = 3


class LexicalSearcher:
    """A `Searcher` whose scores are BM25 weights, not cosines; a hit shares at least one word with the query."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._built: _Postings | None = None
        self._building = asyncio.Lock()

    async def add(self, items: Sequence[Item]) -> None:
        """See `Searcher.add`."""
        self._items.extend(items)
        self._built = None

    async def build(self) -> None:
        """See `Searcher.build`."""
        async with self._building:
            if self._built is None:
                items = tuple(self._items)
                self._built = await asyncio.to_thread(_Postings, items)

    async def search(
        self,
        text: str,
        limit: int,
        threshold: float | None = None,  # noqa: ARG002 -- of the protocol
        tenant: str | None = None,
    ) -> list[Hit]:
        """The best hits; `threshold` is one of cosines and has no meaning here."""
        if self._built is None:
            await self.build()
        postings = self._built
        if postings is None or limit < 1:
            return []
        scores = postings.scores(text)
        if postings.restricted:
            scores[[item.tenant not in (None, tenant) for item in postings.items]] = 0
        best = np.argsort(-scores, kind="stable")[:limit].tolist()
        return [Hit(postings.items[row], float(scores[row])) for row in best if scores[row] > 0]


class _Postings:
    """For each word the documents that have it and its weight in them."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.restricted = any(item.tenant is not None for item in items)
        counts = [Counter(words_of(item.text)) for item in items]
        lengths = np.array([count.total() for count in counts], np.float32)
        norm = _SATURATION * (
            1 - _LENGTH_SHARE + _LENGTH_SHARE * lengths / max(1.0, float(lengths.mean()) if items else 1)
        )
        found: dict[str, list[tuple[int, int]]] = {}
        for row, count in enumerate(counts):
            for word, times in count.items():
                found.setdefault(word, []).append((row, times))
        self._postings = {word: self._weighed(entries, norm) for word, entries in found.items()}

    def scores(self, text: str) -> NDArray[np.float32]:
        """The BM25 score of every document `[n]`."""
        scores = np.zeros(len(self.items), np.float32)
        for word in words_of(text):
            if word in self._postings:
                rows, weights = self._postings[word]
                scores[rows] += weights
        return scores

    def _weighed(
        self, entries: Sequence[tuple[int, int]], norm: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        rows = np.array([row for row, _ in entries], np.int64)
        times = np.array([count for _, count in entries], np.float32)
        rarity = math.log(1 + (len(self.items) - len(entries) + 0.5) / (len(entries) + 0.5))
        weights = np.float32(rarity * (_SATURATION + 1)) * times / (times + norm[rows])
        return rows, weights.astype(np.float32)


def words_of(text: str) -> Iterator[str]:
    """The index words of a text, in order."""
    for word in _WORD.findall(text.lower()):
        if ord(word[0]) < 0x3040:
            yield _stem(word)
        elif len(word) == 1:
            yield word
        else:
            yield from (word[i : i + 2] for i in range(len(word) - 1))


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return word[: -len(ending)]
    return word
