"""Choosing tokens on the GPU: temperature, top-k, top-p, min-p and the Gumbel-max draw, with no sort and no sync.

`keep_threshold` finds per row the smallest logit that survives the filters, by bisection over the ordered bits of
float32 (each pass counts, or sums the probability of, what lies above). `choose` then takes the largest of
`logit / temperature + Gumbel noise` among the survivors, which is a draw from their softmax (Gumbel-max trick); with
temperature 0 it is the plain argmax, the lowest token id among equals. The noise of a token depends on the
request's seed, on how many tokens it has generated and on the token's id, never on what else is in the batch.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.cuda.scratch import arrival_counters

CHUNK = 8192


@triton.jit
def _ordered(x):
    """int32 keys that order as the float32 values do."""
    bits = x.to(tl.int32, bitcast=True)
    return tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


@triton.jit
def _mass_above(row_ptr, key, peak, inverse, V, COUNT: tl.constexpr, BLOCK: tl.constexpr):
    """How many logits lie strictly above `key`, or the sum of their exp((logit - peak) / temperature)."""
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, V, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        x = tl.load(row_ptr + cols, mask=cols < V, other=float("-inf")).to(tl.float32)
        above = _ordered(x) > key
        weight = tl.exp((x - peak) * inverse)
        if COUNT:
            weight = tl.where(x > float("-inf"), 1.0, 0.0)
        total += tl.where(above, weight, 0.0)
    return tl.sum(total, axis=0)


@triton.jit
def _lowest_key(row_ptr, target, low, peak, inverse, V, COUNT: tl.constexpr, BLOCK: tl.constexpr):
    """The smallest key, at least `low`, above which the mass is under `target`."""
    high = _ordered(peak)
    while low < high:
        middle = (low & high) + ((low ^ high) >> 1)
        if _mass_above(row_ptr, middle, peak, inverse, V, COUNT, BLOCK) < target:
            high = middle
        else:
            low = middle + 1
    return high


@triton.jit
def _threshold_kernel(
    logits_ptr, out_ptr, temperature_ptr, top_k_ptr, top_p_ptr, min_p_ptr, V, stride,
    BLOCK: tl.constexpr, PDL: tl.constexpr,
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
        low = _ordered(tl.full((), float("-inf"), dtype=tl.float32)) + 1
        if min_p > 0.0:
            low = tl.maximum(low, _ordered(peak + tl.log(min_p) * temperature))
        if (top_k > 0) & (top_k < V):
            low = _lowest_key(row_ptr, top_k.to(tl.float32), low, peak, inverse, V, True, BLOCK)
        if top_p < 1.0:
            mass = _mass_above(row_ptr, low - 1, peak, inverse, V, False, BLOCK)
            low = _lowest_key(row_ptr, top_p * mass, low, peak, inverse, V, False, BLOCK)
        bits = tl.where(low < 0, low ^ 0x7FFFFFFF, low)
        threshold = bits.to(tl.float32, bitcast=True)
    tl.store(out_ptr + row, threshold)
    release_next(PDL)


@triton.jit
def _choose_kernel(
    logits_ptr, threshold_ptr, temperature_ptr, seed_ptr, counter_ptr, token_ptr, best_ptr, best_at_ptr,
    flaw_ptr, last_ptr, slot_ptr, arrivals_ptr, V, stride,
    CHUNKS: tl.constexpr, CHUNKS_P2: tl.constexpr, CHUNK: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    chunk = tl.program_id(1)
    cols = chunk * CHUNK + tl.arange(0, CHUNK)
    wait_previous(PDL)
    x = tl.load(logits_ptr + row * stride + cols, mask=cols < V, other=float("-inf")).to(tl.float32)
    temperature = tl.load(temperature_ptr + row)
    nan = tl.max(tl.where(x != x, 1, 0), axis=0)
    if temperature > 0:
        # One stream per (seed, tokens generated so far); the token's id counts inside it.
        stream = tl.load(seed_ptr + row) + tl.load(counter_ptr + row).to(tl.int64) * (-7046029254386353131)
        noise = tl.rand(stream, cols)
        gumbel = -tl.log(-tl.log(noise + 1e-10) + 1e-10)
        kept = x >= tl.load(threshold_ptr + row)
        x = tl.where(kept, x / temperature + gumbel, float("-inf"))
    best = tl.max(x, axis=0)
    at = tl.min(tl.where((x == best) & (cols < V), cols, 0x7FFFFFFF), axis=0)
    slot = row * CHUNKS_P2 + chunk
    tl.store(best_ptr + slot, best)
    tl.store(best_at_ptr + slot, at)
    tl.store(flaw_ptr + slot, nan)
    tl.debug_barrier()
    if tl.atomic_add(arrivals_ptr + row, 1, sem="acq_rel") == CHUNKS - 1:
        lanes = tl.arange(0, CHUNKS_P2)
        mine = row * CHUNKS_P2 + lanes
        bests = tl.load(best_ptr + mine, mask=lanes < CHUNKS, other=float("-inf"), cache_modifier=".cg")
        ats = tl.load(best_at_ptr + mine, mask=lanes < CHUNKS, other=0x7FFFFFFF, cache_modifier=".cg")
        flaws = tl.load(flaw_ptr + mine, mask=lanes < CHUNKS, other=0, cache_modifier=".cg")
        top = tl.max(bests, axis=0)
        token = tl.min(tl.where(bests == top, ats, 0x7FFFFFFF), axis=0)
        bad = (tl.max(flaws, axis=0) > 0) | (top == float("-inf"))
        tl.store(token_ptr + row, tl.where(bad, -1, token))
        tl.store(last_ptr + tl.load(slot_ptr + row), tl.where(bad, 0, token))
        tl.store(arrivals_ptr + row, 0)
    release_next(PDL)


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
            BLOCK=4096, PDL=early_launch(), num_warps=8, **launch_options(),
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
    chunks = triton.cdiv(vocabulary, CHUNK)
    width = triton.next_power_of_2(chunks)
    device = logits.device
    tokens = torch.empty(rows, dtype=torch.int32, device=device)
    best = torch.empty((rows, width), dtype=torch.float32, device=device)
    best_at = torch.empty((rows, width), dtype=torch.int32, device=device)
    flaws = torch.empty((rows, width), dtype=torch.int32, device=device)
    if rows:
        _choose_kernel[(rows, chunks)](
            logits, threshold, rules.temperature, rules.seeds, rules.counters, tokens, best, best_at, flaws,
            last_tokens, slots, arrival_counters(device, rows), vocabulary, logits.stride(0),
            CHUNKS=chunks, CHUNKS_P2=width, CHUNK=CHUNK, PDL=early_launch(), num_warps=8, **launch_options(),
        )  # fmt: skip
    return tokens
