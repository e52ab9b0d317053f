"""Choosing tokens on the GPU: temperature, top-k, top-p, min-p and the Gumbel-max draw, with no sort and no sync.

`keep_threshold` finds per row the smallest logit that survives the filters, by bisection over the ordered bits of
float32 (each pass counts, or sums the probability of, what lies above). `choose` then takes the largest of
`logit / temperature + Gumbel noise` among the survivors, which is a draw from their softmax (Gumbel-max trick); with
temperature 0 it is the plain argmax, the lowest token id among equals. The noise of a token depends on the
request's seed, on how many tokens it has generated and on the token's id, never on what else is in the batch.
"""

from dataclasses import dataclass
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.scratch import arrival_counters

BLOCK: Final = 2048
MOST_CHUNKS: Final = 16  # programs per row where rows are few
FEW_ROWS: Final = 64
LOWEST = tl.constexpr(-0x8000000000000000)


@triton.jit
def _ordered(x, SHIFT: tl.constexpr):
    """int32 keys that order as the float32 values do; `SHIFT` drops bits that are the same in all of a dtype's values."""
    bits = x.to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits) >> SHIFT


@triton.jit
def _mass_above(
    row_ptr, key, peak, inverse, V, COUNT: tl.constexpr, SHIFT: tl.constexpr, BLOCK: tl.constexpr
):
    """How many logits lie strictly above `key`, or the sum of their exp((logit - peak) / temperature)."""
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in tl.range(0, V, BLOCK, loop_unroll_factor=4):
        cols = start + tl.arange(0, BLOCK)
        x = tl.load(row_ptr + cols, mask=cols < V, other=float("-inf")).to(tl.float32)
        above = _ordered(x, SHIFT) > key
        if COUNT:
            weight = tl.where(x > float("-inf"), 1.0, 0.0)
        else:
            weight = tl.exp((x - peak) * inverse)
        total += tl.where(above, weight, 0.0)
    return tl.sum(total, axis=0)


@triton.jit
def _lowest_key(
    row_ptr, target, low, peak, inverse, V, COUNT: tl.constexpr, SHIFT: tl.constexpr, BLOCK: tl.constexpr
):
    """The smallest key, at least `low`, above which the mass is under `target`."""
    high = _ordered(peak, SHIFT)
    while low < high:
        middle = (low & high) + ((low ^ high) >> 1)
        if _mass_above(row_ptr, middle, peak, inverse, V, COUNT, SHIFT, BLOCK) < target:
            high = middle
        else:
            low = middle + 1
    return high


@triton.jit
def _threshold_kernel(
    logits_ptr, out_ptr, temperature_ptr, top_k_ptr, top_p_ptr, min_p_ptr, V, stride,
    SHIFT: tl.constexpr, BLOCK: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    wait_previous(PDL)
    temperature = tl.load(temperature_ptr + row)
    top_k = tl.load(top_k_ptr + row)
    top_p = tl.load(top_p_ptr + row)
    min_p = tl.load(min_p_ptr + row)
    threshold = float("-inf")
    if (temperature > 0) & ((top_k > 0) | (top_p < 1.0) | (min_p > 0.0)):
        row_ptr = logits_ptr + row * stride
        inverse = 1.0 / temperature
        peaks = tl.full((BLOCK,), float("-inf"), dtype=tl.float32)
        for start in range(0, V, BLOCK):
            cols = start + tl.arange(0, BLOCK)
            x = tl.load(row_ptr + cols, mask=cols < V, other=float("-inf")).to(tl.float32)
            peaks = tl.maximum(peaks, x)
        peak = tl.max(peaks, axis=0)
        low = _ordered(tl.full((), float("-inf"), dtype=tl.float32), SHIFT) + 1
        if min_p > 0.0:
            # Keys are whole: a logit at or above the bound has a key at or above the bound's, rounded up.
            floor = peak + tl.log(min_p) * temperature
            low = tl.maximum(low, -(-_ordered(floor, 0) >> SHIFT))
        if (top_k > 0) & (top_k < V):
            low = _lowest_key(row_ptr, top_k.to(tl.float32), low, peak, inverse, V, True, SHIFT, BLOCK)
        if top_p < 1.0:
            mass = _mass_above(row_ptr, low - 1, peak, inverse, V, False, SHIFT, BLOCK)
            low = _lowest_key(row_ptr, top_p * mass, low, peak, inverse, V, False, SHIFT, BLOCK)
        low = low << SHIFT
        bits = tl.where(low < 0, low ^ 0x7FFFFFFF, low)
        threshold = bits.to(tl.float32, bitcast=True)
    tl.store(out_ptr + row, threshold)
    release_next(PDL)


@triton.jit
def _gumbel(words):
    """Gumbel noise of uint32 words: -log(E), with E = -log(1 - u) exponential; fine-grained where E is small."""
    u = words.to(tl.uint32, bitcast=True).to(tl.float32) * 2.3283064365386963e-10 + 1.1641532182693481e-10
    exponential = tl.where(u < 0.001, u + 0.5 * u * u, -tl.log(1.0 - tl.minimum(u, 0.99999994)))
    return -tl.log(exponential)


@triton.jit
def _pooled(best, row_ptr, cols, noise, threshold, inverse, V, DRAW: tl.constexpr):
    """Running maxima of int64 keys: the value's order above, the token's id (lower first) below; NaN above all."""
    x = tl.load(row_ptr + cols, mask=cols < V, other=float("-inf")).to(tl.float32)
    flawed = x != x
    if DRAW:
        x = tl.where(x >= threshold, x * inverse + _gumbel(noise), float("-inf"))
    high = tl.where(flawed, 0x7FFFFFFF, _ordered(x, 0))
    key = (high.to(tl.int64) << 32) | (0x7FFFFFFF - cols).to(tl.int64)
    return tl.maximum(best, tl.where(cols < V, key, LOWEST))


@triton.jit
def _choose_kernel(
    logits_ptr, threshold_ptr, temperature_ptr, seed_ptr, counter_ptr, token_ptr, best_ptr,
    last_ptr, slot_ptr, arrivals_ptr, V, stride,
    CHUNKS: tl.constexpr, CHUNKS_P2: tl.constexpr, CHUNK: tl.constexpr, BLOCK: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    chunk = tl.program_id(1)
    lanes = tl.arange(0, BLOCK)
    wait_previous(PDL)
    temperature = tl.load(temperature_ptr + row)
    row_ptr = logits_ptr + row * stride
    best = tl.full((BLOCK,), LOWEST, dtype=tl.int64)
    if temperature > 0:
        threshold = tl.load(threshold_ptr + row)
        inverse = 1.0 / temperature
        # One stream per (seed, tokens generated so far); the token's id counts inside it, four blocks to a draw.
        stream = tl.load(seed_ptr + row) + tl.load(counter_ptr + row).to(tl.int64) * (-7046029254386353131)
        for start in range(chunk * CHUNK, (chunk + 1) * CHUNK, 4 * BLOCK):
            a, b, c, d = tl.randint4x(stream, start + lanes)
            best = _pooled(best, row_ptr, start + lanes, a, threshold, inverse, V, True)
            best = _pooled(best, row_ptr, start + BLOCK + lanes, b, threshold, inverse, V, True)
            best = _pooled(best, row_ptr, start + 2 * BLOCK + lanes, c, threshold, inverse, V, True)
            best = _pooled(best, row_ptr, start + 3 * BLOCK + lanes, d, threshold, inverse, V, True)
    else:
        for start in tl.range(chunk * CHUNK, (chunk + 1) * CHUNK, BLOCK, loop_unroll_factor=4):
            best = _pooled(best, row_ptr, start + lanes, 0, 0.0, 1.0, V, False)
    release_next(PDL)
    tl.store(best_ptr + row * CHUNKS_P2 + chunk, tl.max(best, axis=0))
    tl.debug_barrier()
    if tl.atomic_add(arrivals_ptr + row, 1, sem="acq_rel") == CHUNKS - 1:
        chunks = tl.arange(0, CHUNKS_P2)
        bests = tl.load(
            best_ptr + row * CHUNKS_P2 + chunks, mask=chunks < CHUNKS, other=LOWEST, cache_modifier=".cg"
        )
        top = tl.max(bests, axis=0)
        token = 0x7FFFFFFF - (top & 0xFFFFFFFF).to(tl.int32)
        value = (top >> 32).to(tl.int32)
        # Keys of infinity: anything at or beyond them is no number that a token can be chosen by.
        bad = (value >= 0x7F800000) | (value <= -0x7F800000)
        tl.store(token_ptr + row, tl.where(bad, -1, token))
        tl.store(last_ptr + tl.load(slot_ptr + row), tl.where(bad, 0, token))
        tl.store(arrivals_ptr + row, 0)


@dataclass(frozen=True, slots=True)
class SamplingRows:
    """How each of S rows is sampled.

    Attributes:
        temperature: float32 [S]; 0 is greedy.
        top_k: int32 [S]; 0 is off.
        top_p: float32 [S]; 1 is off.
        min_p: float32 [S]; 0 is off.
        seeds: int64 [S].
        counters: int32 [S]; tokens generated before this one.
    """

    temperature: Tensor
    top_k: Tensor
    top_p: Tensor
    min_p: Tensor
    seeds: Tensor
    counters: Tensor


def keep_threshold(logits: Tensor, rules: SamplingRows) -> Tensor:
    """The smallest logit of each row of [S, V] that survives min-p, then top-k, then top-p; -inf where none is cut."""
    rows, vocabulary = logits.shape
    out = torch.empty(rows, dtype=torch.float32, device=logits.device)
    if rows:
        _threshold_kernel[(rows,)](
            logits, out, rules.temperature, rules.top_k, rules.top_p, rules.min_p, vocabulary, logits.stride(0),
            SHIFT=16 if logits.dtype == torch.bfloat16 else 0, BLOCK=8192, PDL=early_launch(), num_warps=32,
            **launch_options(),
        )  # fmt: skip
    return out


def choose(logits: Tensor, rules: SamplingRows, last_tokens: Tensor, slots: Tensor) -> Tensor:
    """Sample a token per row.

    Args:
        logits: [S, V], any floating dtype, last dimension contiguous.
        rules: one entry per row.
        last_tokens: int32; row i's token is also written to `last_tokens[slots[i]]` (0 for a flawed row).
        slots: int32 [S].

    Returns:
        int32 [S]; -1 where the row held NaN or nothing finite.
    """
    rows, vocabulary = logits.shape
    threshold = keep_threshold(logits, rules)
    groups = triton.cdiv(vocabulary, 4 * BLOCK)
    chunk = triton.cdiv(groups, MOST_CHUNKS if rows <= FEW_ROWS else 2) * 4 * BLOCK
    chunks = triton.cdiv(vocabulary, chunk)
    width = triton.next_power_of_2(chunks)
    device = logits.device
    tokens = torch.empty(rows, dtype=torch.int32, device=device)
    best = torch.empty((rows, width), dtype=torch.int64, device=device)
    if rows:
        _choose_kernel[(rows, chunks)](
            logits, threshold, rules.temperature, rules.seeds, rules.counters, tokens, best,
            last_tokens, slots, arrival_counters(device, rows), vocabulary, logits.stride(0),
            CHUNKS=chunks, CHUNKS_P2=width, CHUNK=chunk, BLOCK=BLOCK, PDL=early_launch(), num_warps=8,
            **launch_options(),
        )  # fmt: skip
    return tokens
