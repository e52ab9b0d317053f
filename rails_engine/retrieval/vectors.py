"""Small helpers on rows of vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rails_engine.retrieval.errors import DimensionError, EmbeddingRemoteError

Vectors = NDArray[np.float32]


def unit_rows(rows: ArrayLike) -> Vectors:
    """Rows scaled to length one, float32 `[n, d]`; a zero row stays zero."""
    matrix = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.ascontiguousarray(matrix / np.where(lengths > 0, lengths, 1).astype(np.float32))


def check_rows(vectors: Vectors, dimension: int) -> Vectors:
    """`vectors` as contiguous float32 `[n, dimension]`.

    Raises:
        DimensionError: another shape.
    """
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != dimension:
        raise DimensionError(dimension, rows.shape[-1] if rows.ndim else 0)
    return rows


def remote_rows(rows: Sequence[Sequence[float]], expected: int, endpoint: str) -> Vectors:
    """What an endpoint sent as unit rows.

    Raises:
        EmbeddingRemoteError: not one finite vector of one length for each text.
    """
    try:
        matrix = np.asarray(rows, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise EmbeddingRemoteError(f"{endpoint}: sent vectors of unequal length or of no numbers") from error
    if matrix.ndim != 2 or len(matrix) != expected or matrix.shape[1] == 0:
        raise EmbeddingRemoteError(f"{endpoint}: sent {len(matrix)} vectors for {expected} texts")
    if not np.isfinite(matrix).all():
        raise EmbeddingRemoteError(f"{endpoint}: sent a vector with NaN or infinity")
    return unit_rows(matrix)


def of_one_length(parts: Sequence[Vectors], before: int | None, endpoint: str) -> Vectors:
    """What an endpoint sent in several replies as one matrix; `before` is the length of its earlier vectors.

    Raises:
        EmbeddingRemoteError: vectors of another length than before, or than one another.
    """
    for part in parts:
        before = before or part.shape[1]
        if part.shape[1] != before:
            raise EmbeddingRemoteError(
                f"{endpoint}: sent vectors of length {part.shape[1]}, where it sent {before} before: was the model behind "
                "it changed? Start again, and everything is embedded anew"
            )
    return np.concatenate(parts)
