"""The wording of an utterance as a vector: hashed words, pairs of words and letter sequences, rare ones counting more.

Sentence vectors tell what is meant but blur what is said; near intents often differ in one word. Each feature is hashed
to one of some places and a sign (Weinberger et al. 2009, arXiv:0902.2206), so that nothing grows with the vocabulary.
Where examples are few, twice the places cost little and tell more (`width_for`).
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from rails_engine.retrieval.vectors import Vectors, unit_rows

WIDTH = 1024
_WIDE = 2048
_FEW_EXAMPLES = 4000
_SHARE = np.float32(0.8)
_LETTERS = (3, 4, 5)
_LONGEST = 1000
_TOKEN = re.compile(r"\w+|[^\w\s]")


def width_for(examples: int) -> int:
    """How many places the features of so many examples are hashed to."""
    return _WIDE if examples <= _FEW_EXAMPLES else WIDTH


def count_features(texts: Sequence[str], width: int = WIDTH) -> Vectors:
    """Signed counts of hashed features `[n, width]`; a text counts to its thousandth letter."""
    counts = np.zeros((len(texts), width), np.float32)
    for row, text in zip(counts, texts, strict=True):
        hashes = np.array([zlib.crc32(feature.encode("utf-8", "replace")) for feature in _features(text)])
        if len(hashes):
            np.add.at(row, (hashes >> 1) % width, np.where(hashes & 1, np.float32(1), np.float32(-1)))
    return counts


def rarity(counts: Vectors) -> Vectors:
    """The weight of each place `[width]`: its inverse document frequency among the examples' counts."""
    rows = len(counts)
    weights: Vectors = (np.log((1 + rows) / (1 + np.count_nonzero(counts, axis=0))) + 1).astype(np.float32)
    return weights


def joined(vectors: Vectors, counts: Vectors, weights: Vectors) -> Vectors:
    """Sentence vectors `[n, d]` with the wording beside them `[n, d + width]`, of unit length."""
    damped: Vectors = np.sign(counts) * np.log1p(np.abs(counts)) * weights
    return unit_rows(np.concatenate((vectors, _SHARE * unit_rows(damped)), axis=1))


def _features(text: str) -> Iterator[str]:
    tokens = _TOKEN.findall(text[:_LONGEST].casefold())
    yield from (f"w{token}" for token in tokens)
    yield from (f"b{first}_{second}" for first, second in itertools.pairwise(tokens))
    letters = f" {' '.join(tokens)} "
    for length in _LETTERS:
        yield from (f"c{letters[i : i + length]}" for i in range(len(letters) - length + 1))
