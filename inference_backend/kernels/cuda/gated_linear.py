"""Gate and up projection of many tokens, with act(gate) * up worked out before anything is written.

A persistent kernel: each program takes tiles of [tokens, gate columns and the up columns that belong to them], loaded by
the tensor memory accelerator; the weight is seen as [gate or up, outputs, inputs], so that one load brings both halves.
cuBLAS multiplies as fast, but then the product is written, read again and written a third time. On Hopper a kernel in
CUDA C++ has the work (`gated_hopper.py`).
"""

from functools import lru_cache
from typing import Final

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from inference_backend.kernels.cuda.gated_hopper import gated_hopper, has_hopper_kernel
from inference_backend.kernels.cuda.launch import has_tensor_memory_accelerator
from inference_backend.kernels.values import Deferred

TILE_TOKENS: Final = 128
TILE_COLUMNS: Final = 128
TILE_INPUTS: Final = 64
GROUP: Final = 16  # rows of tiles that neighbouring programs share weights over


@triton.jit
def gated(gate, up, GELU: tl.constexpr):
    """act(gate) * up; the activation is rounded to its dtype before the product, as the plain form does."""
    g = gate.to(tl.float32)
    if GELU:
        # 0.5 (1 + tanh(u)) is sigmoid(2 u), with u = sqrt(2 / pi) (g + 0.044715 g^3).
        act = g * tl.sigmoid(1.5957691216057308 * (g + 0.044715 * g * g * g))
    else:
        act = g * tl.sigmoid(g)
    return (act.to(gate.dtype).to(tl.float32) * up.to(tl.float32)).to(gate.dtype)


@triton.jit(do_not_specialize=["M"])
def _gated_linear_kernel(
    x_desc, w_desc, out_desc, M, W, K, programs,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr, GELU: tl.constexpr,
):  # fmt: skip
    rows = tl.cdiv(M, BLOCK_M)
    columns = tl.cdiv(W, BLOCK_N)
    for tile in tl.range(tl.program_id(0), rows * columns, programs):
        first = tile // (GROUP * columns) * GROUP
        height = min(rows - first, GROUP)
        m = (first + tile % (GROUP * columns) % height) * BLOCK_M
        n = tile % (GROUP * columns) // height * BLOCK_N
        acc = tl.zeros((BLOCK_M, 2 * BLOCK_N), dtype=tl.float32)
        for k in range(0, K, BLOCK_K):
            x = x_desc.load([m, k])
            w = tl.reshape(w_desc.load([0, n, k]), (2 * BLOCK_N, BLOCK_K))
            acc = tl.dot(x, w.T, acc)
        gate, up = tl.split(tl.permute(tl.reshape(acc, (BLOCK_M, 2, BLOCK_N)), (0, 2, 1)))
        kind: tl.constexpr = out_desc.dtype
        out_desc.store([m, n], gated(gate.to(kind), up.to(kind), GELU))


@lru_cache(maxsize=16)
def _programs(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def fewest_gated_tokens(device: torch.device) -> int:
    """From how many tokens on `gated_linear` is used: of fewer, tiles fill the card unevenly, and cuBLAS has smaller ones."""
    return 1280 if has_hopper_kernel(device) else 2048


def fits_gated(product: Deferred) -> bool:
    """Whether `gated_linear` is there for this product, and faster than two operations."""
    x, weight = product.x, product.weight
    return (
        len(x) >= fewest_gated_tokens(x.device)
        and x.dtype != torch.float32
        and x.is_contiguous()
        and len(weight) % (2 * TILE_COLUMNS) == 0
        and weight.shape[1] % TILE_INPUTS == 0
        and has_tensor_memory_accelerator(x.device)
    )


def gated_linear(product: Deferred, *, gelu: bool) -> Tensor:
    """silu(gate) * up (or gelu) of x [T, n] and a weight [2 W, n] that holds gate then up: [T, W].

    n must be a multiple of 64 and W of 128.
    """
    if has_hopper_kernel(product.x.device):
        return gated_hopper(product.x, product.weight, gelu=gelu)
    return gated_linear_in_triton(product, gelu=gelu)


def gated_linear_in_triton(product: Deferred, *, gelu: bool) -> Tensor:
    """`gated_linear` on any chip with a tensor memory accelerator."""
    x, weight = product.x, product.weight
    tokens, inputs = x.shape
    width = len(weight) // 2
    out = torch.empty((tokens, width), dtype=x.dtype, device=x.device)
    tiles = triton.cdiv(tokens, TILE_TOKENS) * triton.cdiv(width, TILE_COLUMNS)
    programs = min(tiles, _programs(x.device))
    _gated_linear_kernel[(programs,)](
        TensorDescriptor.from_tensor(x, [TILE_TOKENS, TILE_INPUTS]),
        TensorDescriptor.from_tensor(weight.view(2, width, inputs), [2, TILE_COLUMNS, TILE_INPUTS]),
        TensorDescriptor.from_tensor(out, [TILE_TOKENS, TILE_COLUMNS]),
        tokens, width, inputs, programs,
        BLOCK_M=TILE_TOKENS, BLOCK_N=TILE_COLUMNS, BLOCK_K=TILE_INPUTS, GROUP=GROUP, GELU=gelu,
        num_warps=8, num_stages=3,
    )  # fmt: skip
    return out
