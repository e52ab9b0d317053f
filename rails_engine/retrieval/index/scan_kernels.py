"""Triton kernels of the flat scan on a GPU: the best score of each group of rows, and all scores of chosen groups."""

import triton
import triton.language as tl


@triton.jit
def group_maxima(
    rows_ptr,
    queries_ptr,
    allowed_ptr,
    maxima_ptr,
    count,
    groups,
    query_blocks,
    WIDTH: tl.constexpr,
    GROUP: tl.constexpr,
    QUERIES: tl.constexpr,
    BLOCK: tl.constexpr,
    EVEN: tl.constexpr,
    ONE: tl.constexpr,
    MASKED: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The greatest inner product of each query with each group of `GROUP` rows: `maxima[query, group]`.

    Neighbouring programs share a group, so that it is read from memory once for all blocks of queries.
    """
    program = tl.program_id(0)
    group = (program // query_blocks).to(tl.int64)
    first_query = (program % query_blocks) * QUERIES
    rows = group * GROUP + tl.arange(0, GROUP)
    queries = first_query + tl.arange(0, QUERIES)
    columns = tl.arange(0, BLOCK)
    row_ptrs = rows_ptr + rows[:, None] * WIDTH + columns[None, :]
    if ONE:
        partial = tl.zeros((GROUP, BLOCK), tl.float32)
        for start in range(0, WIDTH, BLOCK):
            if EVEN:
                x = tl.load(row_ptrs + start)
                q = tl.load(queries_ptr + first_query * WIDTH + start + columns)
            else:
                x = tl.load(row_ptrs + start, mask=start + columns[None, :] < WIDTH, other=0.0)
                q = tl.load(
                    queries_ptr + first_query * WIDTH + start + columns,
                    mask=start + columns < WIDTH,
                    other=0.0,
                )
            partial += x.to(tl.float32) * q.to(tl.float32)[None, :]
        scores = tl.sum(partial, axis=1)
        inside = rows < count
        if MASKED:
            inside = inside & (tl.load(allowed_ptr + rows, mask=inside, other=0) != 0)
        scores = tl.where(inside, scores, float("-inf"))
        tl.store(maxima_ptr + first_query.to(tl.int64) * groups + group, tl.max(scores, axis=0))
    else:
        query_ptrs = queries_ptr + queries[None, :] * WIDTH + columns[:, None]
        total = tl.zeros((GROUP, QUERIES), tl.float32)
        for start in range(0, WIDTH, BLOCK):
            if EVEN:
                x = tl.load(row_ptrs + start)
                q = tl.load(query_ptrs + start)
            else:
                x = tl.load(row_ptrs + start, mask=start + columns[None, :] < WIDTH, other=0.0)
                q = tl.load(query_ptrs + start, mask=start + columns[:, None] < WIDTH, other=0.0)
            total = tl.dot(x, q, total, input_precision=PRECISION)
        inside = rows < count
        if MASKED:
            inside = inside & (tl.load(allowed_ptr + rows, mask=inside, other=0) != 0)
        total = tl.where(inside[:, None], total, float("-inf"))
        tl.store(maxima_ptr + queries.to(tl.int64) * groups + group, tl.max(total, axis=0))


@triton.jit
def group_scores(
    rows_ptr,
    queries_ptr,
    allowed_ptr,
    chosen_ptr,
    scores_ptr,
    count,
    chosen_count,
    WIDTH: tl.constexpr,
    GROUP: tl.constexpr,
    BLOCK: tl.constexpr,
    MASKED: tl.constexpr,
):
    """The inner products in float32 of one query with the rows of one group chosen for it."""
    query = tl.program_id(0).to(tl.int64)
    place = query * chosen_count + tl.program_id(1)
    group = tl.load(chosen_ptr + place)
    members = tl.arange(0, GROUP)
    rows = group * GROUP + members
    columns = tl.arange(0, BLOCK)
    partial = tl.zeros((GROUP, BLOCK), tl.float32)
    for start in range(0, WIDTH, BLOCK):
        inside = start + columns < WIDTH
        x = tl.load(
            rows_ptr + rows[:, None] * WIDTH + start + columns[None, :], mask=inside[None, :], other=0.0
        )
        q = tl.load(queries_ptr + query * WIDTH + start + columns, mask=inside, other=0.0)
        partial += x.to(tl.float32) * q.to(tl.float32)[None, :]
    scores = tl.sum(partial, axis=1)
    there = rows < count
    if MASKED:
        there = there & (tl.load(allowed_ptr + rows, mask=there, other=0) != 0)
    tl.store(scores_ptr + place * GROUP + members, tl.where(there, scores, float("-inf")))
