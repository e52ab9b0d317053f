"""The intents of a configuration over a user's own search provider: the order of its answer is all there is."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence

from rails_engine.retrieval.base import Hit, Item, Searcher
from rails_engine.retrieval.intents.match import RANKED, IntentMatch, Ranked, order_of_intents


class SearchedIntents:
    """`Intents` over any searcher; the first intent found has all the probability."""

    def __init__(self, examples: Mapping[str, Sequence[str]], searcher: Searcher) -> None:
        self._items = [Item(text, {"intent": intent}) for intent, texts in examples.items() for text in texts]
        self._searcher = searcher
        self._built = False
        self._building = asyncio.Lock()

    async def build(self) -> None:
        """See `Intents.build`."""
        async with self._building:
            if not self._built and self._items:
                await self._searcher.add(self._items)
                await self._searcher.build()
            self._built = True

    async def nearest(self, text: str, limit: int, threshold: float | None = None) -> list[Hit]:
        """See `Intents.nearest`."""
        await self.build()
        return await self._searcher.search(text, limit, threshold) if self._items else []

    async def match(self, text: str, threshold: float | None = None) -> IntentMatch | None:
        """See `Intents.match`."""
        if not self._items:
            return None
        hits = await self.nearest(text, RANKED, threshold)
        if not hits:
            return None
        ranked = tuple(Ranked(intent, 0.0 if i else 1.0) for i, intent in enumerate(order_of_intents(hits)))
        return IntentMatch(ranked, hits[0].score, math.nan, in_scope=True)
