"""The index that comes with the package, in the interface that users' code subclasses and constructs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.custom_providers import EmbeddingsIndex, IndexItem, similarity_of
from rails_engine.retrieval.embedding import BatchingEmbedder
from rails_engine.retrieval.registry import EMBEDDING_PROVIDERS

_OPTIONS = frozenset(
    {"index", "cache_config", "search_threshold", "use_batching", "max_batch_size", "max_batch_hold"}
)


class BasicEmbeddingsIndex(EmbeddingsIndex):
    """Exact search with the embedder of an engine; its vectors can be saved to one `.npy` file."""

    def __init__(
        self,
        embedding_model: str | None = None,
        embedding_engine: str | None = None,
        embedding_params: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Make an empty index over an engine.

        Options: `index` (float32 `[n, d]`), `search_threshold` (on the scale of `similarity_of`; holds where a
        search names none), `cache_config`, `use_batching` with `max_batch_size` texts and `max_batch_hold` seconds.
        """
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise TypeError(
                f"BasicEmbeddingsIndex has no option {unknown[0]!r}; it has {', '.join(sorted(_OPTIONS))}"
            )
        embedder = EMBEDDING_PROVIDERS.embedder(embedding_engine, embedding_model, embedding_params or {})
        if options.get("use_batching"):
            embedder = BatchingEmbedder(
                embedder, options.get("max_batch_size", 10), options.get("max_batch_hold", 0.0)
            )
        self._embedder = embedder
        self._vectors: NDArray[np.float32] | None = options.get("index")
        self._threshold: float | None = options.get("search_threshold")
        self._cache_config = options.get("cache_config")
        self._items: list[IndexItem] = []
        self._rows: list[NDArray[np.float32]] = []

    @property
    def embedding_size(self) -> int:
        """The length of each vector; 0 before the first item."""
        return self._rows[0].shape[0] if self._rows else 0

    @property
    def cache_config(self) -> Any:
        """As it was given."""
        return self._cache_config

    @property
    def embeddings(self) -> list[list[float]]:
        """The vectors of the items, in the order in which these were added."""
        return [row.tolist() for row in self._rows]

    @property
    def embeddings_index(self) -> NDArray[np.float32] | None:
        """The vectors that are searched, float32 `[items, size]`; None before `build`."""
        return self._vectors

    async def add_item(self, item: IndexItem) -> None:
        """Embed an item; it can be found after the next `build`.

        Raises:
            EmbeddingError: it could not be embedded.
        """
        await self.add_items([item])

    async def add_items(self, items: list[IndexItem]) -> None:
        """As `add_item`, for several at once."""
        self._items.extend(items)
        self._rows.extend(await self._embedder.embed([item.text for item in items], EmbeddingKind.PASSAGE))

    async def build(self) -> None:
        """Make everything added so far searchable."""
        self._vectors = np.stack(self._rows) if self._rows else None

    async def search(
        self, text: str, max_results: int = 20, threshold: float | None = None
    ) -> list[IndexItem]:
        """The nearest items, best first.

        Raises:
            ValueError: `build` was not called.
        """
        if self._vectors is None:
            raise ValueError("Index is not built yet. Call `build` before searching.")
        query = await self._embedder.embed([text], EmbeddingKind.QUERY)
        cosines = (query @ self._vectors.T)[0]
        wanted = self._threshold if threshold is None else threshold
        best = np.argsort(-cosines, kind="stable")[:max_results].tolist()
        return [
            self._items[row] for row in best if wanted is None or similarity_of(float(cosines[row])) >= wanted
        ]

    def save(self, path: str) -> None:
        """Write the vectors to `path`, with `.npy` added where it is missing."""
        if self._vectors is None:
            raise ValueError("Index is not built yet. Call `build` before saving.")
        np.save(path, self._vectors, allow_pickle=False)

    def load(self, path: str) -> None:
        """Read vectors that `save` wrote; the items are added anew."""
        self._vectors = np.load(path if path.endswith(".npy") else f"{path}.npy", allow_pickle=False)
