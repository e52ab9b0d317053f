"""Triton kernels of the flat scan on a GPU: the best score of each part, then the best rows of the best parts.

A score and the place that it stands at travel as one key of 64 bits: the score, its bits turned so that they order as
whole numbers, above the place counted downwards. So the greatest key is the best score, of equal ones the first, and no
two keys are equal. The best few are taken one after another. Places are below 2^32.
"""

import triton
import triton.language as tl

_LOW = tl.constexpr(0xFFFFFFFF)
_MAGNITUDE = tl.constexpr(0x7FFFFFFF)
_NOTHING = tl.constexpr(-(1 << 63))


@triton.jit
def part_maxima(
    rows_ptr,
    queries_ptr,
    allowed_ptr,
    maxima_ptr,
    count,
    parts,
    query_blocks,
    WIDTH: tl.constexpr,
    TILE: tl.constexpr,
    PART: tl.constexpr,
    QUERIES: tl.constexpr,
    BLOCK: tl.constexpr,
    MASKED: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The greatest inner product of each query with each part of `PART` rows: `maxima[query, part]`.

    Neighbouring programs share a tile of rows, so that it is read from memory once for all blocks of queries.
    """
    program = tl.program_id(0)
    tile = (program // query_blocks).to(tl.int64)
    first_query = (program % query_blocks) * QUERIES
    rows = tile * TILE + tl.arange(0, TILE)
    queries = first_query + tl.arange(0, QUERIES)
    if QUERIES == 1:
        scores = _scores_of_one(rows_ptr, queries_ptr + first_query * WIDTH, rows, WIDTH, TILE, BLOCK)[
            :, None
        ]
    else:
        scores = _scores_of_many(rows_ptr, queries_ptr, rows, queries, WIDTH, TILE, QUERIES, BLOCK, PRECISION)
    scores = tl.where(_counting(allowed_ptr, rows, count, MASKED)[:, None], scores, float("-inf"))
    best = tl.max(tl.reshape(scores, (TILE // PART, PART, QUERIES)), axis=1)
    places = tile * (TILE // PART) + tl.arange(0, TILE // PART)
    targets = maxima_ptr + queries.to(tl.int64)[None, :] * parts + places[:, None]
    tl.store(targets, best, mask=(places < parts)[:, None])


@triton.jit
def best_parts(maxima_ptr, keys_ptr, parts, chunks, wanted, CHUNK: tl.constexpr):
    """The keys of the `wanted` best parts of each chunk of `CHUNK` parts: `keys[query, chunk, :]`."""
    query, chunk = tl.program_id(0).to(tl.int64), tl.program_id(1)
    places = chunk * CHUNK + tl.arange(0, CHUNK)
    scores = tl.load(maxima_ptr + query * parts + places, mask=places < parts, other=float("-inf"))
    keys = _keys(scores, places)
    target = keys_ptr + (query * chunks + chunk) * wanted
    for rank in range(wanted):
        best = tl.max(keys, axis=0)
        tl.store(target + rank, best)
        keys = tl.where(keys == best, _NOTHING, keys)


@triton.jit
def best_rows(
    rows_ptr,
    queries_ptr,
    allowed_ptr,
    part_keys_ptr,
    row_keys_ptr,
    count,
    candidates,
    wanted,
    WIDTH: tl.constexpr,
    PART: tl.constexpr,
    BLOCK: tl.constexpr,
    CANDIDATES: tl.constexpr,
    MASKED: tl.constexpr,
):
    """The keys, by scores in float32, of the `wanted` best rows of one of a query's best parts: `keys[query, part, :]`.

    Each program finds its part among the `candidates` of all chunks by itself: that is quicker than another launch.
    """
    query, place = tl.program_id(0).to(tl.int64), tl.program_id(1)
    part_keys = _read(part_keys_ptr + query * candidates, candidates, CANDIDATES)
    for _ in range(place):
        part_keys = tl.where(part_keys == tl.max(part_keys, axis=0), _NOTHING, part_keys)
    rows = _place(tl.max(part_keys, axis=0)) * PART + tl.arange(0, PART)
    counting = _counting(allowed_ptr, rows, count, MASKED)
    columns = tl.arange(0, BLOCK)
    partial = tl.zeros((PART, BLOCK), tl.float32)
    for start in range(0, WIDTH, BLOCK):
        inside = start + columns < WIDTH
        needed = counting[:, None] & inside[None, :]
        x = tl.load(rows_ptr + rows[:, None] * WIDTH + start + columns[None, :], mask=needed, other=0.0)
        q = tl.load(queries_ptr + query * WIDTH + start + columns, mask=inside, other=0.0)
        partial += x.to(tl.float32) * q[None, :]
    keys = _keys(tl.where(counting, tl.sum(partial, axis=1), float("-inf")), rows)
    target = row_keys_ptr + (query * tl.num_programs(1) + place) * wanted
    for rank in range(wanted):
        best = tl.max(keys, axis=0)
        tl.store(target + rank, best)
        keys = tl.where(keys == best, _NOTHING, keys)


@triton.jit
def best_of_all(row_keys_ptr, scores_ptr, found_ptr, candidates, wanted, CANDIDATES: tl.constexpr):
    """The `wanted` best rows of each query and their scores, best first; -1 and -inf where there are fewer."""
    query = tl.program_id(0).to(tl.int64)
    keys = _read(row_keys_ptr + query * candidates, candidates, CANDIDATES)
    for rank in range(wanted):
        best = tl.max(keys, axis=0)
        score = _score(best)
        there = score > float("-inf")
        tl.store(scores_ptr + query * wanted + rank, tl.where(there, score, float("-inf")))
        tl.store(found_ptr + query * wanted + rank, tl.where(there, _place(best), -1))
        keys = tl.where(keys == best, _NOTHING, keys)


@triton.jit
def _scores_of_one(rows_ptr, query_ptr, rows, WIDTH: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr):
    """Inner products `[TILE]` of rows with one query."""
    columns = tl.arange(0, BLOCK)
    partial = tl.zeros((TILE, BLOCK), tl.float32)
    for start in range(0, WIDTH, BLOCK):
        row_ptrs = rows_ptr + rows[:, None] * WIDTH + start + columns[None, :]
        if WIDTH % BLOCK == 0:
            x = tl.load(row_ptrs)
            q = tl.load(query_ptr + start + columns)
        else:
            inside = start + columns < WIDTH
            x = tl.load(row_ptrs, mask=inside[None, :], other=0.0)
            q = tl.load(query_ptr + start + columns, mask=inside, other=0.0)
        partial += x.to(tl.float32) * q.to(tl.float32)[None, :]
    return tl.sum(partial, axis=1)


@triton.jit
def _scores_of_many(
    rows_ptr,
    queries_ptr,
    rows,
    queries,
    WIDTH: tl.constexpr,
    TILE: tl.constexpr,
    QUERIES: tl.constexpr,
    BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Inner products `[TILE, QUERIES]` of rows with queries."""
    columns = tl.arange(0, BLOCK)
    total = tl.zeros((TILE, QUERIES), tl.float32)
    for start in range(0, WIDTH, BLOCK):
        row_ptrs = rows_ptr + rows[:, None] * WIDTH + start + columns[None, :]
        query_ptrs = queries_ptr + queries[None, :] * WIDTH + start + columns[:, None]
        if WIDTH % BLOCK == 0:
            x = tl.load(row_ptrs)
            q = tl.load(query_ptrs)
        else:
            inside = start + columns < WIDTH
            x = tl.load(row_ptrs, mask=inside[None, :], other=0.0)
            q = tl.load(query_ptrs, mask=inside[:, None], other=0.0)
        total = tl.dot(x, q, total, input_precision=PRECISION)
    return total


@triton.jit
def _counting(allowed_ptr, rows, count, MASKED: tl.constexpr):
    """Which of these rows are there, and allowed."""
    counting = rows < count
    if MASKED:
        counting = counting & (tl.load(allowed_ptr + rows, mask=counting, other=0) != 0)
    return counting


@triton.jit
def _read(keys_ptr, count, ROOM: tl.constexpr):
    """`count` keys, filled up to `ROOM` with keys below all others."""
    places = tl.arange(0, ROOM)
    return tl.load(keys_ptr + places, mask=places < count, other=_NOTHING)


@triton.jit
def _keys(scores, places):
    bits = scores.to(tl.int32, bitcast=True)
    ordered = bits ^ ((bits >> 31) & _MAGNITUDE)
    return (ordered.to(tl.int64) << 32) | (_LOW - places.to(tl.int64))


@triton.jit
def _score(keys):
    ordered = (keys >> 32).to(tl.int32)
    return (ordered ^ ((ordered >> 31) & _MAGNITUDE)).to(tl.float32, bitcast=True)


@triton.jit
def _place(keys):
    return _LOW - (keys & _LOW)
