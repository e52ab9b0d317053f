"""The steps of one scan on a GPU, from queries to the best scores, without leaving it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

GROUP = 128
"""Rows of which the scan keeps the best score alone."""
_SPARE_GROUPS = 2


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors on a GPU `[room, d]` in float32 or float16, of which `count` are there; room is a multiple of `GROUP`."""

    data: torch.Tensor
    count: int


@dataclass(frozen=True, slots=True)
class Tile:
    """How the scan is divided for a number of queries; `queries` 1 has its own path in the kernel."""

    queries: int
    block: int
    warps: int
    stages: int


def tile_for(queries: int, half: bool) -> Tile:
    """The quickest of those tried on an H200."""
    if queries == 1:
        return Tile(1, 128 if half else 64, 4, 3)
    if queries <= 32:
        width = 16 if queries <= 16 else 32
        return Tile(width, 64, 4, 4) if half else Tile(width, 32, 4, 4)
    return Tile(128, 64, 8, 3)


def best_of(
    rows: Rows, queries: torch.Tensor, k: int, tile: Tile, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """For queries `[n, d]` in float32, n a multiple of the tile's: the best scores, their places, and the groups searched.

    Scores and places are `[n, at most k]`, best first; place p is row p % GROUP of the group in column p // GROUP of
    the groups `[n, at most k + 2]`. A `mask` `[count]` of 0 and 1 says which rows count.
    """
    maxima = _group_maxima(rows, queries, tile, mask)
    groups = maxima.topk(min(maxima.shape[1], k + _SPARE_GROUPS), sorted=False).indices
    scores = _group_scores(rows, queries, groups, mask)
    best, places = scores.topk(min(k, scores.shape[1]))
    return best, places, groups


def _group_maxima(rows: Rows, queries: torch.Tensor, tile: Tile, mask: torch.Tensor | None) -> torch.Tensor:
    import torch

    from rails_engine.retrieval.index.scan_kernels import group_maxima

    data, width = rows.data, rows.data.shape[1]
    groups, blocks = -(-rows.count // GROUP), len(queries) // tile.queries
    maxima = torch.empty((len(queries), groups), dtype=torch.float32, device=data.device)
    group_maxima[(groups * blocks,)](
        data,
        queries.to(data.dtype),
        data if mask is None else mask,
        maxima,
        rows.count,
        groups,
        blocks,
        WIDTH=width,
        GROUP=GROUP,
        QUERIES=tile.queries,
        BLOCK=tile.block,
        EVEN=width % tile.block == 0,
        ONE=tile.queries == 1,
        MASKED=mask is not None,
        PRECISION="ieee" if data.dtype == torch.float16 else "tf32x3",
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return maxima


def _group_scores(
    rows: Rows, queries: torch.Tensor, groups: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    import torch

    from rails_engine.retrieval.index.scan_kernels import group_scores

    count, chosen = groups.shape
    scores = torch.empty((count, chosen * GROUP), dtype=torch.float32, device=groups.device)
    group_scores[(count, chosen)](
        rows.data,
        queries,
        rows.data if mask is None else mask,
        groups,
        scores,
        rows.count,
        chosen,
        WIDTH=rows.data.shape[1],
        GROUP=GROUP,
        BLOCK=64,
        MASKED=mask is not None,
    )
    return scores
