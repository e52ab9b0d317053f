"""LoRA for tokens of different adapters in one batch: two small kernels that read the adapters' indexes on the device.

One program takes one adapter and a tile of tokens, and leaves at once where none of them has it, so that a CUDA graph
serves any mixture; an adapter's weights are read once a tile, however many of its tokens are there (the grouping of
Punica's SGMV, Chen et al., 2023, without sorting the tokens first). The first kernel multiplies a share of the inputs
by A, the second adds up the shares and multiplies by a block of B's rows.
"""

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.values import AdapterRows

MOST_ADAPTED_TOKENS: Final = 512  # decode rows that get a CUDA graph of their own
SHARE: Final = 512  # inputs that one program multiplies
OUTPUTS: Final = 128
LARGEST_TILE: Final = 64  # tokens


@triton.jit
def _down_kernel(
    x_ptr, down_ptr, index_ptr, sums_ptr, x_stride, T, N, R,
    SHARES: tl.constexpr, SHARE: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr, RANKS: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    adapter = tl.program_id(0) + 1
    share = tl.program_id(1)
    tokens = tl.program_id(2) * TILE + tl.arange(0, TILE)
    ranks = tl.arange(0, RANKS)
    wait_previous(PDL)
    mine = tl.load(index_ptr + tokens, mask=tokens < T, other=0) == adapter
    if tl.max(mine.to(tl.int32), axis=0) > 0:
        acc = tl.zeros((TILE, RANKS), dtype=tl.float32)
        rows = down_ptr + (adapter.to(tl.int64) * R + ranks)[:, None] * N
        for start in range(share * SHARE, (share + 1) * SHARE, BLOCK):
            at = start + tl.arange(0, BLOCK)
            inside = (at < N)[None, :]
            x_rows = x_ptr + tokens.to(tl.int64)[:, None] * x_stride
            x = tl.load(x_rows + at[None, :], mask=mine[:, None] & inside, other=0.0)
            a = tl.load(rows + at[None, :], mask=(ranks < R)[:, None] & inside, other=0.0)
            acc = tl.dot(x, a.T, acc, input_precision="ieee")
        places = (tokens.to(tl.int64) * SHARES + share)[:, None] * RANKS + ranks[None, :]
        tl.store(sums_ptr + places, acc, mask=mine[:, None])
    release_next(PDL)


@triton.jit
def _up_kernel(
    out_ptr, up_ptr, index_ptr, sums_ptr, out_stride, T, N, R,
    SHARES: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr, RANKS: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    adapter = tl.program_id(0) + 1
    outputs = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    tokens = tl.program_id(2) * TILE + tl.arange(0, TILE)
    ranks = tl.arange(0, RANKS)
    wait_previous(PDL)
    mine = tl.load(index_ptr + tokens, mask=tokens < T, other=0) == adapter
    if tl.max(mine.to(tl.int32), axis=0) > 0:
        inner = tl.zeros((TILE, RANKS), dtype=tl.float32)
        for share in range(SHARES):
            places = (tokens.to(tl.int64) * SHARES + share)[:, None] * RANKS + ranks[None, :]
            inner += tl.load(sums_ptr + places, mask=mine[:, None], other=0.0)
        inside = outputs < N
        rows = up_ptr + (adapter.to(tl.int64) * N + outputs)[:, None] * R
        b = tl.load(rows + ranks[None, :], mask=inside[:, None] & (ranks < R)[None, :], other=0.0)
        added = tl.dot(inner.to(b.dtype), b.T, input_precision="ieee")
        at = out_ptr + tokens.to(tl.int64)[:, None] * out_stride + outputs[None, :]
        ok = mine[:, None] & inside[None, :]
        value = tl.load(at, mask=ok, other=0.0)
        tl.store(at, (value.to(tl.float32) + added).to(value.dtype), mask=ok)
    release_next(PDL)


def lora(out: Tensor, x: Tensor, down: Tensor, up: Tensor, rows: AdapterRows) -> Tensor:
    """See `reference.lora`; `rows.active` is not looked at."""
    tokens, inputs = x.shape
    adapters, rank, outputs = len(down) - 1, down.shape[1], up.shape[1]
    if not tokens or not adapters:
        return out
    tile = min(LARGEST_TILE, max(16, triton.next_power_of_2(tokens)))
    shares, ranks = triton.cdiv(inputs, SHARE), max(16, triton.next_power_of_2(rank))
    sums = torch.empty((tokens, shares, ranks), dtype=torch.float32, device=x.device)
    tiles = triton.cdiv(tokens, tile)
    _down_kernel[(adapters, shares, tiles)](
        x, down, rows.indexes, sums, x.stride(0), tokens, inputs, rank,
        SHARES=shares, SHARE=SHARE, TILE=tile, BLOCK=128, RANKS=ranks, PDL=early_launch(), num_warps=4,
        **launch_options(),
    )  # fmt: skip
    _up_kernel[(adapters, triton.cdiv(outputs, OUTPUTS), tiles)](
        out, up, rows.indexes, sums, out.stride(0), tokens, outputs, rank,
        SHARES=shares, TILE=tile, BLOCK=OUTPUTS, RANKS=ranks, PDL=early_launch(), num_warps=4, **launch_options(),
    )  # fmt: skip
    return out
