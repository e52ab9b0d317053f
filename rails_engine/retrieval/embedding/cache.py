"""Vectors kept from one run to the next.

The key is a SHA-256 over the model's name, the kind of text and the text, so a change of model never meets old vectors.
A store that fails costs time, never an answer.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import Embedder, EmbeddingKind
from rails_engine.retrieval.embedding.stores import VectorStore

_log = logging.getLogger(__name__)


class CachingEmbedder:
    """An `Embedder` that asks the one inside only for texts that the store does not know."""

    def __init__(self, embedder: Embedder, store: VectorStore) -> None:
        self._embedder = embedder
        self._store = store
        self._dimension: int | None = None

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return self._embedder.model_name

    async def dimension(self) -> int:
        """See `Embedder.dimension`."""
        if self._dimension is None:
            self._dimension = await self._embedder.dimension()
        return self._dimension

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        """As the embedder inside; each distinct unknown text is embedded once."""
        keys = [cache_key(self.model_name, kind, text) for text in texts]
        known = await self._known(list(dict.fromkeys(keys)))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            vectors = await self._embedder.embed(list(missing.values()), kind)
            fresh = dict(zip(missing, vectors, strict=True))
            await self._keep({key: vector.astype("<f4").tobytes() for key, vector in fresh.items()})
            known |= fresh
        if not keys:
            return np.empty((0, await self.dimension()), np.float32)
        return np.stack([known[key] for key in keys])

    async def _known(self, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        dimension = await self.dimension()
        found: dict[str, bytes] = {}
        with _only_slower("read"):
            found = await self._store.get(keys)
        return {key: np.frombuffer(raw, "<f4") for key, raw in found.items() if len(raw) == 4 * dimension}

    async def _keep(self, entries: dict[str, bytes]) -> None:
        with _only_slower("written"):
            await self._store.put(entries)


@contextmanager
def _only_slower(done: str) -> Iterator[None]:
    """A store is used in here; a broken one only costs time, and is told of in the log."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- a store may fail in any way
        _log.warning("the embedding cache cannot be %s: %s", done, error)


def cache_key(model: str, kind: EmbeddingKind, text: str) -> str:
    """SHA-256 in hex over the parts, each with its length in front, so that no two sets of parts collide."""
    digest = hashlib.sha256()
    for part in (model.encode(), kind.value.encode(), text.encode("utf-8", "surrogatepass")):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
