"""LoRA for few tokens, each with an adapter of its own: two small kernels that read the adapters' indexes on the device.

One program takes one token: the first kernel multiplies a share of its inputs by its adapter's A, the second adds up the
shares and multiplies by a block of B's rows. Tokens of the base model leave at once, so a CUDA graph serves any mixture.
With many tokens, reading an adapter again for each of them costs more than multiplying all of them by each adapter.
"""

from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor

from inference_backend.kernels.cuda.launch import early_launch, launch_options, release_next, wait_previous
from inference_backend.kernels.values import AdapterRows

MOST_ADAPTED_TOKENS: Final = 512
SHARE: Final = 512  # inputs that one program multiplies
BLOCK: Final = 256


@triton.jit
def _down_kernel(
    x_ptr, down_ptr, index_ptr, sums_ptr, x_stride, N, R,
    SHARES: tl.constexpr, SHARE: tl.constexpr, BLOCK: tl.constexpr, RANKS: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    share = tl.program_id(1)
    ranks = tl.arange(0, RANKS)
    wait_previous(PDL)
    adapter = tl.load(index_ptr + token)
    if adapter > 0:
        acc = tl.zeros((RANKS, BLOCK), dtype=tl.float32)
        rows = down_ptr + (adapter * R + ranks)[:, None] * N
        for start in range(share * SHARE, (share + 1) * SHARE, BLOCK):
            at = start + tl.arange(0, BLOCK)
            x = tl.load(x_ptr + token * x_stride + at, mask=at < N, other=0.0).to(tl.float32)
            a = tl.load(rows + at[None, :], mask=(ranks < R)[:, None] & (at < N)[None, :], other=0.0)
            acc += a.to(tl.float32) * x[None, :]
        tl.store(sums_ptr + (token * SHARES + share) * RANKS + ranks, tl.sum(acc, axis=1))
    release_next(PDL)


@triton.jit
def _up_kernel(
    out_ptr, up_ptr, index_ptr, sums_ptr, out_stride, N, R,
    SHARES: tl.constexpr, BLOCK: tl.constexpr, RANKS: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0).to(tl.int64)
    outputs = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    ranks = tl.arange(0, RANKS)
    wait_previous(PDL)
    adapter = tl.load(index_ptr + token)
    if adapter > 0:
        inner = tl.zeros((RANKS,), dtype=tl.float32)
        for share in tl.static_range(SHARES):
            inner += tl.load(sums_ptr + (token * SHARES + share) * RANKS + ranks)
        inside = outputs < N
        rows = up_ptr + (adapter * N + outputs)[:, None] * R
        b = tl.load(rows + ranks[None, :], mask=inside[:, None] & (ranks < R)[None, :], other=0.0)
        added = tl.sum(b.to(tl.float32) * inner[None, :], axis=1)
        at = out_ptr + token * out_stride + outputs
        value = tl.load(at, mask=inside, other=0.0)
        tl.store(at, (value.to(tl.float32) + added).to(value.dtype), mask=inside)
    release_next(PDL)


def lora(out: Tensor, x: Tensor, down: Tensor, up: Tensor, rows: AdapterRows) -> Tensor:
    """See `reference.lora`; `rows.active` is not looked at where there are at most `MOST_ADAPTED_TOKENS` tokens."""
    tokens, inputs = x.shape
    if tokens > MOST_ADAPTED_TOKENS:
        for adapter in rows.active:
            others = (rows.indexes != adapter)[:, None]
            out += (x @ down[adapter].T @ up[adapter].T).masked_fill(others, 0)
        return out
    rank, outputs = down.shape[1], up.shape[1]
    shares, ranks = triton.cdiv(inputs, SHARE), max(16, triton.next_power_of_2(rank))
    sums = torch.empty((tokens, shares, ranks), dtype=torch.float32, device=x.device)
    if tokens:
        _down_kernel[(tokens, shares)](
            x, down, rows.indexes, sums, x.stride(0), inputs, rank,
            SHARES=shares, SHARE=SHARE, BLOCK=BLOCK, RANKS=ranks, PDL=early_launch(), num_warps=4, **launch_options(),
        )  # fmt: skip
        _up_kernel[(tokens, triton.cdiv(outputs, BLOCK))](
            out, up, rows.indexes, sums, out.stride(0), outputs, rank,
            SHARES=shares, BLOCK=BLOCK, RANKS=ranks, PDL=early_launch(), num_warps=4, **launch_options(),
        )  # fmt: skip
    return out
