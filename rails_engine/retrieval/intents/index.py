"""The intents of a configuration over an embedder: nearest examples, and a fitted head where there are enough."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rails_engine.retrieval.base import Embedder, EmbeddingKind, Hit, Item
from rails_engine.retrieval.intents.fitted import FittedHeads, content_key
from rails_engine.retrieval.intents.head import Head, Labels, class_similarity, familiarity, fit, log_softmax
from rails_engine.retrieval.intents.match import RANKED, IntentMatch, Ranked
from rails_engine.retrieval.vectors import Vectors

EXAMPLES_TO_FIT = 4
"""Mean number of examples an intent from which a head is fitted; with fewer the nearest example decides."""
EXAMPLES_TO_KEEP = 400
"""From so many examples on, fitting takes long enough to keep the head on disk."""
_NEAREST_SHARPNESS = np.float32(15.0)
_EXAMPLES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class _Built:
    vectors: Vectors
    labels: Labels
    head: Head | None


class IntentIndex:
    """`Intents` over an embedder of ours."""

    def __init__(
        self,
        examples: Mapping[str, Sequence[str]],
        embedder: Embedder,
        heads: FittedHeads | None = None,
        scope_threshold: float | None = None,
    ) -> None:
        """`examples`: intents to utterances; `heads` keeps what was fitted; `scope_threshold` replaces the calibrated one."""
        self._intents = tuple(intent for intent, texts in examples.items() if texts)
        self._items = [
            Item(text, {"intent": intent}) for intent in self._intents for text in examples[intent]
        ]
        self._exact = {_plain(item.text): str(item.meta["intent"]) for item in reversed(self._items)}
        self._embedder = embedder
        self._heads = heads
        self._scope_threshold = scope_threshold
        self._built: _Built | None = None
        self._building = asyncio.Lock()

    async def build(self) -> None:
        """See `Intents.build`."""
        async with self._building:
            if self._built is None and self._items:
                vectors = await self._embedded()
                self._built = await asyncio.to_thread(self._fitted, vectors)

    async def nearest(self, text: str, limit: int, threshold: float | None = None) -> list[Hit]:
        """See `Intents.nearest`."""
        built = await self._ready()
        if built is None:
            return []
        cosines = built.vectors @ (await self._query(text))[0]
        best = np.argsort(-cosines, kind="stable")[:limit].tolist()
        return [
            Hit(self._items[row], float(cosines[row]))
            for row in best
            if threshold is None or cosines[row] >= threshold
        ]

    async def match(self, text: str, threshold: float | None = None) -> IntentMatch | None:
        """See `Intents.match`."""
        built = await self._ready()
        if built is None:
            return None
        vector = await self._query(text)
        similarity = float((built.vectors @ vector[0]).max())
        nearness = class_similarity(vector, built.vectors, built.labels, len(self._intents))
        probabilities = self._probabilities(built, text, vector, nearness)
        familiar = float(familiarity(probabilities, nearness)[0])
        literal = self._exact.get(_plain(text))
        if literal is not None:
            probabilities = _only(self._intents.index(literal), len(self._intents))
        return IntentMatch(
            ranked=self._ranked(probabilities[0]),
            similarity=similarity,
            familiarity=familiar,
            in_scope=literal is not None or self._in_scope(built.head, similarity, familiar, threshold),
        )

    def _in_scope(
        self, head: Head | None, similarity: float, familiar: float, threshold: float | None
    ) -> bool:
        if threshold is not None:
            return similarity >= threshold
        if self._scope_threshold is not None:
            return familiar >= self._scope_threshold
        return head is None or familiar >= head.scope_threshold

    def _probabilities(self, built: _Built, text: str, vector: Vectors, nearness: Vectors) -> Vectors:
        if built.head is not None:
            return built.head.probabilities(vector, [text], nearness)
        best = np.full((1, len(self._intents)), -1, np.float32)
        np.maximum.at(best[0], built.labels, built.vectors @ vector[0])
        return np.exp(log_softmax(_NEAREST_SHARPNESS * best))

    def _ranked(self, probabilities: Vectors) -> tuple[Ranked, ...]:
        best = np.argsort(-probabilities, kind="stable")[:RANKED].tolist()
        return tuple(Ranked(self._intents[i], float(probabilities[i])) for i in best)

    async def _ready(self) -> _Built | None:
        if self._built is None:
            await self.build()
        return self._built

    async def _query(self, text: str) -> Vectors:
        return await self._embedder.embed([text], EmbeddingKind.QUERY)

    async def _embedded(self) -> Vectors:
        """The examples' vectors; they are what users say, so they are embedded as what users say."""
        texts = [item.text for item in self._items]
        parts = [
            await self._embedder.embed(texts[i : i + _EXAMPLES_AT_ONCE], EmbeddingKind.QUERY)
            for i in range(0, len(texts), _EXAMPLES_AT_ONCE)
        ]
        return np.concatenate(parts)

    def _fitted(self, vectors: Vectors) -> _Built:
        numbers = {intent: i for i, intent in enumerate(self._intents)}
        labels = np.array([numbers[str(item.meta["intent"])] for item in self._items], np.int64)
        if len(self._intents) < 2 or len(labels) < EXAMPLES_TO_FIT * len(self._intents):
            return _Built(vectors, labels, None)
        return _Built(vectors, labels, self._head(vectors, labels))

    def _head(self, vectors: Vectors, labels: Labels) -> Head:
        texts = [item.text for item in self._items]
        if self._heads is None or len(labels) < EXAMPLES_TO_KEEP:
            return fit(vectors, texts, labels, len(self._intents))
        model = self._embedder.model_name
        key = content_key(model, texts, [str(item.meta["intent"]) for item in self._items])
        head = self._heads.load(key, model)
        if head is None:
            head = fit(vectors, texts, labels, len(self._intents))
            self._heads.save(key, model, head)
        return head


def _plain(text: str) -> str:
    """A text without case, outer signs and doubled blanks: what makes it literally an example."""
    return " ".join(text.casefold().split()).strip(" .!?")


def _only(label: int, classes: int) -> Vectors:
    certain = np.zeros((1, classes), np.float32)
    certain[0, label] = 1
    return certain
