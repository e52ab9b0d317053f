"""What the attention kernels share: which row a tile is of, where keys and values lie, and the online softmax."""

import triton
import triton.language as tl


@triton.jit
def cache_rows(table_ptr, at, inside, PAGE: tl.constexpr):
    """Row numbers (block * PAGE + offset) of the cache for positions `at` of one sequence; `inside` None: all lie in it."""
    if inside is None:
        block = tl.load(table_ptr + at // PAGE).to(tl.int64)
    else:
        block = tl.load(table_ptr + at // PAGE, mask=inside, other=0).to(tl.int64)
    return block * PAGE + at % PAGE


@triton.jit
def row_of(tile, starts_ptr, rows, BLOCK_Q: tl.constexpr):
    """The row that tile number `tile` falls in: row r begins at tile (starts[r] - starts[0]) // BLOCK_Q + r."""
    base = tl.load(starts_ptr)
    low = 0
    high = rows
    while high - low > 1:
        middle = (low + high) // 2
        if (tl.load(starts_ptr + middle) - base) // BLOCK_Q + middle <= tile:
            low = middle
        else:
            high = middle
    return low


@triton.jit
def tile_of(tile, starts_ptr, rows, BLOCK_Q: tl.constexpr, BY_LENGTH: tl.constexpr):
    """What tile number `tile` holds: its row, the row's first token and number of queries, the tile's first query of it.

    With BY_LENGTH a row of one query has none: it is decoded elsewhere.
    """
    row = row_of(tile, starts_ptr, rows, BLOCK_Q)
    base = tl.load(starts_ptr)
    begin = tl.load(starts_ptr + row) - base
    queries = tl.load(starts_ptr + row + 1) - base - begin
    first = (tile - begin // BLOCK_Q - row) * BLOCK_Q
    if BY_LENGTH:
        queries = tl.where(queries == 1, 0, queries)
    return row, begin, queries, first


@triton.jit
def scaled_scores(scores, scale, SOFT_CAP: tl.constexpr):
    """Products times the scale, capped as c * tanh(s / c) (0: not), times log2(e) for a softmax in base 2."""
    if SOFT_CAP > 0:
        # tanh(u) = 2 sigmoid(2 u) - 1
        capped = SOFT_CAP * (2.0 * tl.sigmoid(2.0 * scores * scale / SOFT_CAP) - 1.0)
        return capped * 1.4426950408889634
    return scores * (scale * 1.4426950408889634)


@triton.jit
def online_step(scores, factor, values, acc, top, total):
    """One tile of the online softmax (Milakov and Gimelshein, 2018), in base 2.

    `scores` float32 [M, N], -inf where unseen, times `factor` above 0 are the exponents: multiplied here, the product
    and the difference are one instruction. `values` [N, D]; `acc` [M, D], `top` and `total` [M] are the running
    output, largest score and sum of weights.
    """
    new_top = tl.maximum(top, tl.max(scores, axis=1))
    # A row that has seen nothing yet keeps -inf; 0 stands in so that no inf - inf arises.
    base = tl.where(new_top == float("-inf"), 0.0, new_top * factor)
    weights = tl.exp2(scores * factor - base[:, None])
    shrink = tl.exp2(top * factor - base)
    total = total * shrink + tl.sum(weights, axis=1)
    acc = tl.dot(weights.to(values.dtype), values, acc * shrink[:, None], input_precision="ieee")
    return acc, new_top, total


@triton.jit
def scaled_step(scores, values, sizes, acc, top, total):
    """`online_step` with one scale per value row, folded into the weights once their sum is taken."""
    new_top = tl.maximum(top, tl.max(scores, axis=1))
    base = tl.where(new_top == float("-inf"), 0.0, new_top)
    weights = tl.exp2(scores - base[:, None])
    shrink = tl.exp2(top - base)
    total = total * shrink + tl.sum(weights, axis=1)
    acc = tl.dot(
        (weights * sizes[None, :]).to(values.dtype), values, acc * shrink[:, None], input_precision="ieee"
    )
    return acc, new_top, total
