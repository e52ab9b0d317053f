"""The built-in embedder: static vectors of all-MiniLM-L6-v2's word pieces, shipped with the package, numpy alone.

A text is the sum of its pieces' vectors at unit length. The vectors are fitted so that this sum points where the model's
vector of the text does; their lengths say how telling each piece is, so that common words weigh little (see
`scripts/distill_static_vectors.py`, which makes the files, and the NOTICE beside them).
The files are checked against their SHA-256 when they are first read, 15 milliseconds in all.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.embedding.wordpiece import WordPiece
from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.retrieval.vectors import Vectors, unit_rows

MODEL_NAME = "built-in/minilm-static-2"
DIMENSION = 384
TEXTS_IN_PLACE = 64
"""So many texts are embedded on the spot (about a millisecond); more go to a worker thread."""
_PIECES_AT_ONCE = 1024


class StaticEmbedder:
    """An `Embedder` that needs no model, network or compiler; questions and passages are embedded alike."""

    def __init__(self) -> None:
        self._table: StaticTable | None = None
        self._loading = asyncio.Lock()

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return MODEL_NAME

    async def dimension(self) -> int:
        """See `Embedder.dimension`."""
        return DIMENSION

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:  # noqa: ARG002 -- symmetric
        """One unit row a text; a text without any word or sign is the zero vector, which is near nothing."""
        table = self._table or await self._loaded()
        if len(texts) <= TEXTS_IN_PLACE:
            return table.embed(texts)
        return await asyncio.to_thread(table.embed, texts)

    async def _loaded(self) -> StaticTable:
        async with self._loading:
            if self._table is None:
                self._table = await asyncio.to_thread(load_static_table)
        return self._table


@dataclass(frozen=True, slots=True)
class StaticTable:
    """Vectors `[pieces, 384]` and the tokens they belong to."""

    tokens: WordPiece
    vectors: Vectors

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row a text."""
        rows = [self.tokens.ids(text) for text in texts]
        sums = np.zeros((len(texts), self.vectors.shape[1]), np.float32)
        for start, end in _slabs(rows):
            _add_up(rows[start:end], self.vectors, sums[start:end])
        return unit_rows(sums)


def load_static_table() -> StaticTable:
    """Read the shipped files.

    Raises:
        EmbeddingConfigError: a file is missing or was changed: the installation is damaged.
    """
    folder = files("rails_engine.retrieval.embedding") / "minilm_static"
    codes = np.load(BytesIO(_checked(folder, "vectors.npy")), allow_pickle=False)
    scales = np.load(BytesIO(_checked(folder, "scales.npy")), allow_pickle=False)
    pieces = _checked(folder, "vocab.txt").decode("utf-8").rstrip("\n").split("\n")
    vectors = np.multiply(codes, scales[:, None], dtype=np.float32)
    return StaticTable(WordPiece({piece: i for i, piece in enumerate(pieces)}), vectors)


def _checked(folder: Traversable, name: str) -> bytes:
    try:
        expected = json.loads((folder / "checksums.json").read_text(encoding="utf-8"))[name]
        content = (folder / name).read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise EmbeddingConfigError(
            f"the built-in embedder's {name} is missing; install the package again"
        ) from error
    if hashlib.sha256(content).hexdigest() != expected:
        raise EmbeddingConfigError(f"the built-in embedder's {name} was changed; install the package again")
    return content


def _slabs(rows: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Ranges of texts of about `_PIECES_AT_ONCE` pieces each: their vectors stay in the processor's cache."""
    slabs: list[tuple[int, int]] = []
    start = used = 0
    for i, row in enumerate(rows):
        if used and used + len(row) > _PIECES_AT_ONCE:
            slabs.append((start, i))
            start, used = i, 0
        used += len(row)
    slabs.append((start, len(rows)))
    return slabs


def _add_up(rows: Sequence[Sequence[int]], vectors: Vectors, sums: Vectors) -> None:
    """Write the sum of each row's vectors into `sums`."""
    lengths = np.fromiter(map(len, rows), np.intp, len(rows))
    filled = np.flatnonzero(lengths)
    if not len(filled):
        return
    pieces = np.fromiter((piece for row in rows for piece in row), np.intp, int(lengths.sum()))
    starts = np.concatenate(([0], np.cumsum(lengths[filled])[:-1]))
    sums[filled] = np.add.reduceat(vectors.take(pieces, axis=0), starts, axis=0)
