"""The protocols of retrieval: texts to vectors, vectors to neighbours, and texts to texts.

An `Embedder` turns texts into vectors, an `Index` finds the neighbours of a vector, and a `Searcher` joins the two
over items that carry a text and what belongs to it. Knowledge bases and intents know searchers alone, so a user's
own search provider takes the place of ours without anything else noticing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Progress: TypeAlias = Callable[[int, int], None]
"""Told of a long piece of work: what is done, of how much."""


class EmbeddingKind(Enum):
    """Asymmetric models embed a question and the text that answers it differently."""

    QUERY = "query"
    PASSAGE = "passage"


class Embedder(Protocol):
    """Texts to vectors. Implementations may be called concurrently."""

    @property
    def model_name(self) -> str:
        """Names the vector space; vectors of different names are never compared."""
        ...

    async def dimension(self) -> int:
        """The length of each vector."""
        ...

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        """One row a text: float32 `[len(texts), dimension]`, rows of unit length.

        Raises:
            EmbeddingError: the model or its endpoint failed.
        """
        ...


class Index(Protocol):
    """Vectors to neighbours. Not thread safe; the owner serialises calls."""

    @property
    def dimension(self) -> int:
        """The length of each vector."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """The ids that are held, in no particular order."""
        ...

    def __len__(self) -> int: ...

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Insert or replace `vectors` `[n, dimension]` under `ids` `[n]`, each at least 0.

        Raises:
            DimensionError: the vectors have another length; nothing was added.
        """
        ...

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Forget these ids; unknown ones are ignored."""
        ...

    def search(
        self, vectors: NDArray[np.float32], k: int, only: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """For each query row the best `k` ids, best first, and their inner products: both `[n, k]`.

        `only` restricts the answer to these ids (one tenant's, say). Where fewer than `k` exist the rest is id -1 and
        score -inf.

        Raises:
            DimensionError: the queries have another length.
        """
        ...

    def save(self, folder: Path, model: str) -> None:
        """Write to `folder` atomically, noting the embedding model's name.

        Raises:
            IndexStorageError: it could not be written; the former content is intact.
        """
        ...

    def load(self, folder: Path, model: str) -> None:
        """Replace the content by what `save` wrote for the same model.

        Raises:
            IndexFormatError: the folder is no such index, is of another model, or was tampered with.
        """
        ...


@dataclass(frozen=True, slots=True)
class Item:
    """A text that can be found, and what belongs to it; `tenant` None is everybody's."""

    text: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that was found; `score` is the cosine, or NaN where a foreign search provider gives none."""

    item: Item
    score: float


class Searcher(Protocol):
    """Texts to the items nearest in meaning. Calls may be concurrent once `build` is done."""

    async def add(self, items: Sequence[Item]) -> None:
        """Take these items in; they can be found after the next `build`."""
        ...

    async def build(self) -> None:
        """Make everything added so far searchable.

        Raises:
            EmbeddingError: the texts could not be embedded.
        """
        ...

    async def search(
        self, text: str, limit: int, threshold: float | None = None, tenant: str | None = None
    ) -> list[Hit]:
        """At most `limit` items, best first, none below the cosine `threshold`.

        With a `tenant` only its items and everybody's are seen; without one, only everybody's.

        Raises:
            EmbeddingError: the text could not be embedded.
        """
        ...
