"""The two protocols of retrieval: texts to vectors, and vectors to neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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
    def dimension(self) -> int: ...

    def __len__(self) -> int: ...

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Insert or replace `vectors` `[n, dimension]` under `ids` `[n]`.

        Raises:
            DimensionError: the vectors have another length; nothing was added.
        """
        ...

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Forget these ids; unknown ones are ignored."""
        ...

    def search(self, vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """For each query row the best `k` ids, best first, and their inner products: both `[n, k]`.

        Where fewer than `k` exist the rest is id -1 and score -inf.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write to `folder` atomically: after a failure the former content is intact."""
        ...

    def load(self, folder: Path) -> None:
        """Replace the content by what `save` wrote.

        Raises:
            IndexFormatError: the folder is not such an index or was tampered with.
        """
        ...
