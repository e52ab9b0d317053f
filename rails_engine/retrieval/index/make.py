"""The index for so many vectors."""

from __future__ import annotations

from dataclasses import replace

from rails_engine.retrieval.base import Index
from rails_engine.retrieval.index.faiss_index import FaissIndex
from rails_engine.retrieval.index.flat import ExactIndex
from rails_engine.retrieval.index.gpu import gpu_kinds, pick_device
from rails_engine.retrieval.index.settings import EXACT_UP_TO, IndexSettings, Kind, choose


def make_index(dimension: int, count: int, settings: IndexSettings | None = None) -> Index:
    """An empty index for about `count` vectors.

    Raises:
        EmbeddingConfigError: the settings ask for a device or a kind that is not there.
    """
    wanted = settings or IndexSettings()
    if wanted.kind is Kind.EXACT or (
        wanted.kind is Kind.AUTO and count <= EXACT_UP_TO and wanted.device != "cuda"
    ):
        return ExactIndex(dimension)
    device = pick_device(wanted.device, wanted.kind)
    kind = choose(wanted.kind, count, device)
    small = kind is Kind.EXACT  # on a GPU that was asked for
    scan_alone = wanted.kind is Kind.AUTO and device == "cuda" and kind not in gpu_kinds()
    if small or scan_alone:
        kind = Kind.FLAT
    return FaissIndex(dimension, replace(wanted, kind=kind))
