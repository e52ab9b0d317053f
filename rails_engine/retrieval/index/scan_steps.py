"""The steps of one scan on a GPU, from queries to the best rows, without leaving it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

TILE = 128
"""Rows that are scored at once."""
MOST_CHOSEN = 126
"""The most neighbours that the kernels choose; more are ranked by `ranked`."""
_SPARE_PARTS = 2
_CHUNK = 1024
_MOST_CHUNKS = 64
_ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors on a GPU `[room, d]` in float32 or float16, of which `count` are there; room is a multiple of `TILE`."""

    data: torch.Tensor
    count: int


@dataclass(frozen=True, slots=True)
class Tile:
    """How the scan is divided for a number of queries; `queries` 1 has its own path in the kernel.

    `part` rows share one maximum: the fewer they are, the less is scored again and the more is chosen among.
    """

    queries: int
    block: int
    warps: int
    stages: int
    part: int


class Found(NamedTuple):
    """The best scores (float32) and their rows (int64), both `[n, k]`, best first; -inf and -1 where there are fewer."""

    scores: torch.Tensor
    rows: torch.Tensor


def room_of(queries: int) -> int:
    """How many queries the tile for so many takes at once."""
    if queries == 1:
        return 1
    return 16 if queries <= 16 else 32 if queries <= 32 else 128


def tile_for(queries: int, half: bool) -> Tile:
    """The quickest of those tried on an H200."""
    room = room_of(queries)
    if room == 1:
        return Tile(1, 128 if half else 64, 4, 3, 32)
    if room == 128:
        return Tile(128, 64, 8, 3, 128)
    return Tile(room, 64, 4, 4, 32) if half else Tile(room, 64, 8, 3, 32)


def room_for(queries: int, k: int, device: torch.device | str, pinned: bool = False) -> Found:
    """Where results are written to; memory of the host that is `pinned` can be written from a GPU."""
    import torch

    return Found(
        torch.empty((queries, k), dtype=torch.float32, device=device, pin_memory=pinned),
        torch.empty((queries, k), dtype=torch.int64, device=device, pin_memory=pinned),
    )


def choose(rows: Rows, queries: torch.Tensor, tile: Tile, mask: torch.Tensor | None, found: Found) -> None:
    """Write the best rows for queries `[n, d]` in float32, n a multiple of the tile's, to `found` `[n, k]`.

    k is at most `MOST_CHOSEN`. A `mask` `[count]` of 0 and 1 says which rows count.
    """
    from rails_engine.retrieval.index.scan_kernels import best_of_all

    k = found.scores.shape[1]
    part_keys = _best_parts(_part_maxima(rows, queries, tile, mask), k + _SPARE_PARTS)
    row_keys = _best_rows(rows, queries, part_keys, tile.part, k, mask)
    candidates = row_keys.shape[1]
    best_of_all[(len(queries),)](
        row_keys, found.scores, found.rows, candidates, k, CANDIDATES=_power(candidates), num_warps=1
    )


def ranked(rows: Rows, queries: torch.Tensor, k: int, mask: torch.Tensor | None) -> Found:
    """The same for any k, by scoring all rows, some at a time."""
    import torch

    scores = torch.full((len(queries), k), -torch.inf, device=queries.device)
    found = torch.full((len(queries), k), -1, device=queries.device)
    for start in range(0, rows.count, _ROWS_AT_ONCE):
        end = min(start + _ROWS_AT_ONCE, rows.count)
        new = queries @ rows.data[start:end].float().T
        if mask is not None:
            new.masked_fill_(mask[start:end] == 0, -torch.inf)
        numbers = torch.arange(start, end, device=queries.device).expand(len(queries), -1)
        scores, places = torch.cat((scores, new), dim=1).topk(k)
        found = torch.cat((found, numbers), dim=1).gather(1, places)
    return Found(scores, found.masked_fill(scores.isneginf(), -1))


def _part_maxima(rows: Rows, queries: torch.Tensor, tile: Tile, mask: torch.Tensor | None) -> torch.Tensor:
    """The best score of each part of the rows for each query: `[n, parts]`."""
    import torch

    from rails_engine.retrieval.index.scan_kernels import part_maxima

    data = rows.data
    tiles, blocks = -(-rows.count // TILE), len(queries) // tile.queries
    parts = -(-rows.count // tile.part)
    maxima = torch.empty((len(queries), parts), dtype=torch.float32, device=data.device)
    part_maxima[(tiles * blocks,)](
        data,
        queries.to(data.dtype),
        data if mask is None else mask,
        maxima,
        rows.count,
        parts,
        blocks,
        WIDTH=data.shape[1],
        TILE=TILE,
        PART=tile.part,
        QUERIES=tile.queries,
        BLOCK=tile.block,
        MASKED=mask is not None,
        PRECISION="ieee" if data.dtype == torch.float16 else "tf32x3",
        num_warps=tile.warps,
        num_stages=tile.stages,
    )
    return maxima


def _best_parts(maxima: torch.Tensor, wanted: int) -> torch.Tensor:
    """The keys of the `wanted` best parts of each chunk of the parts: `[n, chunks * wanted]`."""
    import torch

    from rails_engine.retrieval.index.scan_kernels import best_parts

    queries, parts = maxima.shape
    chunk = max(_CHUNK, _power(-(-parts // _MOST_CHUNKS)))
    chunks = -(-parts // chunk)
    keys = torch.empty((queries, chunks * wanted), dtype=torch.int64, device=maxima.device)
    best_parts[(queries, chunks)](
        maxima, keys, parts, chunks, wanted, CHUNK=chunk, num_warps=1 if chunk == _CHUNK else 4
    )
    return keys


def _best_rows(
    rows: Rows, queries: torch.Tensor, part_keys: torch.Tensor, part: int, k: int, mask: torch.Tensor | None
) -> torch.Tensor:
    """The keys of the best rows of each of the k best parts, and of some to spare: `[n, chosen * at most k]`."""
    import torch

    from rails_engine.retrieval.index.scan_kernels import best_rows

    wanted, chosen, candidates = min(k, part), k + _SPARE_PARTS, part_keys.shape[1]
    keys = torch.empty((len(queries), chosen * wanted), dtype=torch.int64, device=part_keys.device)
    best_rows[(len(queries), chosen)](
        rows.data,
        queries,
        rows.data if mask is None else mask,
        part_keys,
        keys,
        rows.count,
        candidates,
        wanted,
        WIDTH=rows.data.shape[1],
        PART=part,
        BLOCK=128,
        CANDIDATES=_power(candidates),
        MASKED=mask is not None,
    )
    return keys


def _power(number: int) -> int:
    """The least power of two that is not below a number."""
    return 1 << (number - 1).bit_length()
