"""Embedders that learn how long their vectors are from the first ones that come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.errors import EmbeddingError
from rails_engine.retrieval.vectors import Vectors


class UnsizedEmbedder(ABC):
    """All of an `Embedder` but its name and how texts are embedded."""

    def __init__(self) -> None:
        self._dimension: int | None = None

    async def dimension(self) -> int:
        """The length of each vector; asks for one where none has come yet.

        Raises:
            EmbeddingError: as `embed`.
        """
        if self._dimension is None:
            await self.embed(["dimension"], EmbeddingKind.PASSAGE)
        return self._dimension or 0

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> Vectors:
        """One unit row a text: float32 `[len(texts), dimension]`.

        Raises:
            EmbeddingConfigError: the model cannot be run or asked: a package, a key or the model itself is missing.
            EmbeddingError: it failed, gave something else than a vector for each text, or vectors of another length
                than before.
        """
        if not texts:
            return np.empty((0, await self.dimension()), np.float32)
        vectors = await self._vectors(texts, kind)
        if self._dimension not in (None, vectors.shape[1]):
            raise EmbeddingError(
                f"{self.model_name}: gave vectors of length {vectors.shape[1]}, where it gave {self._dimension} before"
            )
        self._dimension = vectors.shape[1]
        return vectors

    @property
    @abstractmethod
    def model_name(self) -> str:
        """See `Embedder.model_name`."""

    @abstractmethod
    async def _vectors(self, texts: Sequence[str], kind: EmbeddingKind) -> Vectors:
        """One unit row a text, of which there is at least one."""
