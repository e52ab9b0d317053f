"""Which kind of index, where, and its knobs; and the choice by size where the configuration leaves it open."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal, TypeAlias

from rails_engine.retrieval.errors import EmbeddingConfigError
from rails_engine.spelling import nearest

Device: TypeAlias = Literal["auto", "cpu", "cuda"]


class Kind(Enum):
    """`EXACT` is numpy, the others are FAISS; `CAGRA` is a graph that only cuVS builds of faiss-gpu have."""

    AUTO = "auto"
    EXACT = "exact"
    FLAT = "flat"
    IVF_FLAT = "ivf_flat"
    IVF_PQ = "ivf_pq"
    HNSW = "hnsw"
    CAGRA = "cagra"


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """0 leaves a knob to the rule of thumb for the index's size.

    `nlist` lists of an IVF index, of which `nprobe` are searched; `m` bytes a vector of a product quantizer; `links`,
    `ef_construction` and `ef_search` of a graph; `half` keeps vectors as float16 on a GPU.
    """

    kind: Kind = Kind.AUTO
    device: Device = "auto"
    nlist: int = 0
    nprobe: int = 0
    m: int = 0
    links: int = 32
    ef_construction: int = 200
    ef_search: int = 128
    half: bool = False

    @staticmethod
    def read(given: Mapping[str, Any]) -> IndexSettings:
        """From the mapping of a configuration.

        Raises:
            EmbeddingConfigError: an unknown key, or a value that it cannot have.
        """
        known = {field.name for field in fields(IndexSettings)}
        for key in given:
            if key not in known:
                near = nearest(key, known)
                hint = f"; did you mean {near!r}?" if near else f"; it has {', '.join(sorted(known))}"
                raise EmbeddingConfigError(f"the index has no setting {key!r}{hint}")
        values = dict(given)
        kind = str(values.pop("kind", "auto")).lower().replace("-", "_")
        if kind not in {one.value for one in Kind}:
            raise EmbeddingConfigError(
                f"there is no index kind {kind!r}; known are {', '.join(k.value for k in Kind)}"
            )
        if values.get("device", "auto") not in ("auto", "cpu", "cuda"):
            raise EmbeddingConfigError(f"the index's device is auto, cpu or cuda, not {values['device']!r}")
        for key, value in values.items():
            if key not in ("device", "half") and (not isinstance(value, int) or value < 0):
                raise EmbeddingConfigError(
                    f"the index setting {key!r} is a whole number from 0, not {value!r}"
                )
        return IndexSettings(kind=Kind(kind), **values)

    def lists(self, count: int) -> int:
        """How many lists for `count` vectors: about four times the square root, as FAISS's guidelines have it."""
        return self.nlist or max(1, min(65_536, 2 ** round(math.log2(4 * math.sqrt(max(1, count))))))

    def probes(self, lists: int) -> int:
        """How many of `lists` are searched."""
        return min(lists, self.nprobe or max(8, lists // 64))

    def code_bytes(self, dimension: int) -> int:
        """Bytes a vector of a product quantizer: a divisor of the dimension, about one byte for four numbers.

        Left to itself it is at most 96, the most that FAISS's own GPU kernels take.
        """
        wanted = self.m or min(96, dimension // 4)
        return max(m for m in range(1, max(1, wanted) + 1) if dimension % m == 0)


EXACT_UP_TO = 2_000
"""Vectors up to which numpy alone is quick enough, and FAISS need not be loaded."""
_FLAT_UP_TO = {"cpu": 50_000, "cuda": 2_000_000}
_LISTS_UP_TO = {"cpu": 5_000_000, "cuda": 50_000_000}


def choose(kind: Kind, count: int, device: Literal["cpu", "cuda"]) -> Kind:
    """The kind for `count` vectors: exact while a scan takes about a millisecond, then lists, then codes in lists."""
    if kind is not Kind.AUTO:
        return kind
    if count <= EXACT_UP_TO:
        return Kind.EXACT
    if count <= _FLAT_UP_TO[device]:
        return Kind.FLAT
    return Kind.IVF_FLAT if count <= _LISTS_UP_TO[device] else Kind.IVF_PQ
