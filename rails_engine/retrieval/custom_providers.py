"""The interfaces that users' own embedding models and search providers are written against, and how they fit in.

`EmbeddingModel` and `EmbeddingsIndex` are to be subclassed, `IndexItem` is what an index holds. `CustomEmbedder` and
`CustomSearcher` make users' subclasses look like our own protocols, so nothing else knows the difference.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rails_engine.error_boundary import ErrorBoundary
from rails_engine.retrieval.base import EmbeddingKind, Hit, Item
from rails_engine.retrieval.errors import EmbeddingError
from rails_engine.retrieval.unsized import UnsizedEmbedder
from rails_engine.retrieval.vectors import Vectors, remote_rows


class EmbeddingModel(ABC):
    """An embedding model of a user's own; `engine_name` is its name in configurations."""

    engine_name: str = ""

    @abstractmethod
    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        """One vector a document."""

    @abstractmethod
    def encode(self, documents: list[str]) -> list[list[float]]:
        """One vector a document."""


@dataclass
class IndexItem:
    """A text to be found and what belongs to it."""

    text: str
    meta: dict[str, Any] = field(default_factory=dict)


class EmbeddingsIndex(ABC):
    """A search provider of a user's own: takes items, builds, and finds the nearest.

    A subclass says how it searches, and takes items one by one or several at once.
    """

    @property
    def embedding_size(self) -> int:
        """The length of the vectors; 0 where that is not known."""
        return 0

    @property
    def cache_config(self) -> Any:
        """The configuration of the embedding cache; None where there is none."""
        return None

    async def add_item(self, item: IndexItem) -> None:
        """Take in one item."""
        await self.add_items([item])

    async def add_items(self, items: list[IndexItem]) -> None:
        """Take in several items."""
        for item in items:
            await self.add_item(item)

    async def build(self) -> None:  # noqa: B027 -- a step that many have no need of
        """Make everything added searchable; not needed where adding does it."""

    @abstractmethod
    async def search(self, text: str, max_results: int, threshold: float | None) -> list[IndexItem]:
        """The items nearest to `text`, best first; `threshold` is on the scale of `similarity_of`."""


def takes_items(index: type[Any]) -> bool:
    """Whether a search provider says how items are added; the two ways it may do so stand for each other."""
    return any(
        getattr(index, name, None) is not getattr(EmbeddingsIndex, name) for name in ("add_item", "add_items")
    )


def similarity_of(cosine: float) -> float:
    """The scale of thresholds in configurations: 1 for the same direction, 0 for the opposite one."""
    return float(1 - np.sqrt(max(0.0, 2 - 2 * cosine)) / 2)


def cosine_of(similarity: float) -> float:
    """The cosine at a threshold of a configuration: the inverse of `similarity_of`."""
    return 1 - 2 * (1 - similarity) ** 2


class CustomEmbedder(UnsizedEmbedder):
    """A user's `EmbeddingModel` as an `Embedder`."""

    def __init__(self, name: str, model: EmbeddingModel) -> None:
        super().__init__()
        self._name = name
        self._model = model

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return self._name

    async def _vectors(self, texts: Sequence[str], kind: EmbeddingKind) -> Vectors:  # noqa: ARG002 -- the interface is symmetric
        """As declared.

        Raises:
            EmbeddingError: the model raised, or gave something else than a vector for each text.
        """
        with ErrorBoundary(
            lambda error: EmbeddingError(f"the embedding model {self._name!r} failed: {error}")
        ):
            rows = await self._encode(list(texts))
        return remote_rows(rows, len(texts), f"the embedding model {self._name!r}")

    async def _encode(self, texts: list[str]) -> Sequence[Sequence[float]]:
        if hasattr(self._model, "encode_async"):
            return await self._model.encode_async(texts)
        return await asyncio.to_thread(self._model.encode, texts)


class CustomSearcher:
    """A user's `EmbeddingsIndex` as a `Searcher`; it gives no scores, and knows no tenants."""

    def __init__(self, index: EmbeddingsIndex) -> None:
        self._index = index

    async def add(self, items: Sequence[Item]) -> None:
        """See `Searcher.add`."""
        await self._index.add_items([IndexItem(item.text, dict(item.meta)) for item in items])

    async def build(self) -> None:
        """See `Searcher.build`."""
        outcome: Any = self._index.build()
        if inspect.isawaitable(outcome):
            await outcome

    async def search(
        self, text: str, limit: int, threshold: float | None = None, tenant: str | None = None
    ) -> list[Hit]:
        """As a searcher; an item that belongs to another tenant is dropped after the search."""
        # Rounded, so that the number of the configuration comes back from the cosine that stands for it here.
        similarity = None if threshold is None else round(similarity_of(threshold), 9)
        found = await self._index.search(text=text, max_results=limit, threshold=similarity)
        items = [Item(item.text, item.meta, item.meta.get("tenant")) for item in found]
        return [Hit(item, float("nan")) for item in items if item.tenant in (None, tenant)]
