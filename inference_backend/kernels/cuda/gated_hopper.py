"""`gated_linear` for Hopper, in CUDA C++ (`gated_hopper.cu`): warpgroups that take turns, and tiles 192 columns wide.

At the card's power limit what counts is that the tensor cores never wait: then they reach the limit at a lower clock,
which takes less energy an operation. So one warpgroup multiplies while the other works out its activation, and two
multiprocessors share what they load of the weight. Triton has neither clusters nor tiles that are no power of two.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from importlib.resources import files
from typing import Final

import torch
from torch import Tensor

from inference_backend.kernels.cuda.native import Kernel, can_compile, compiled, loaded, tensor_map

TOKEN_TILE: Final = 128
COLUMNS: Final = 192  # of a tile's sums: gate and up, half each
INPUT_TILE: Final = 64
STAGES: Final = 5
GROUP: Final = 8  # pairs of token tiles that neighbouring clusters share weights over
THREADS: Final = 384
_OPTIONS: Final = ("--gpu-architecture=sm_90a", "-std=c++17")
_ELEMENT: Final = 2  # bytes
_SHARED_BYTES: Final = _ELEMENT * (STAGES * INPUT_TILE * (TOKEN_TILE + COLUMNS) + TOKEN_TILE * COLUMNS // 2)
_KINDS: Final = {torch.bfloat16: "bf16", torch.float16: "f16"}
_UNPACK: Final = {"bf16": "mov.b32 %0, {{0, %1}};", "f16": "cvt.f32.f16 %0, %1;"}


@lru_cache(maxsize=16)
def has_hopper_kernel(device: torch.device) -> bool:
    """Whether the device is the chip that the instructions are of, and there is a compiler."""
    return (
        device.type == "cuda" and torch.cuda.get_device_capability(device) == (9, 0) and can_compile(_OPTIONS)
    )


def source(kind: str, *, gelu: bool) -> str:
    """The kernel with its constants, for "bf16" or "f16"."""
    constants = {
        "GELU": int(gelu),
        "COLUMNS": COLUMNS,
        "STAGES": STAGES,
        "GROUP": GROUP,
        "INPUT_TILE": INPUT_TILE,
        "TOKEN_TILE": TOKEN_TILE,
        "PACK": f'"cvt.rn.{kind}x2.f32"',
        "UNPACK(out, bits)": f'asm("{_UNPACK[kind].format()}" : "=f"(out) : "h"(bits))',
        "MMA(sums, a, b, add)": _multiplication(kind),
    }
    defined = "".join(f"#define {name} {value}\n" for name, value in constants.items())
    return defined + files(__package__).joinpath("gated_hopper.cu").read_text()


def _multiplication(kind: str) -> str:
    """The inline assembly of one wgmma, whose sums are COLUMNS / 2 registers."""
    count = COLUMNS // 2
    registers = ", ".join(f"%{number}" for number in range(count))
    sums = ", ".join(f'"+f"(sums[{number}])' for number in range(count))
    instruction = f"wgmma.mma_async.sync.aligned.m64n{COLUMNS}k16.f32.{kind}.{kind}"
    return (
        f'asm volatile("{{.reg .pred adds; setp.ne.b32 adds, %{count + 2}, 0; '
        f'{instruction} {{{registers}}}, %{count}, %{count + 1}, adds, 1, 1, 0, 0;}}" '
        f': {sums} : "l"(a), "l"(b), "r"(add))'
    )


@lru_cache(maxsize=64)
def _kernel(device: torch.device, dtype: torch.dtype, *, gelu: bool) -> Kernel:
    code = compiled(source(_KINDS[dtype], gelu=gelu), _OPTIONS)
    with torch.cuda.device(device):
        return loaded(code, "gated_linear", THREADS, _SHARED_BYTES)


@lru_cache(maxsize=16)
def _blocks(device: torch.device) -> int:
    """One for each multiprocessor, in pairs."""
    return torch.cuda.get_device_properties(device).multi_processor_count // 2 * 2


def gated_hopper(x: Tensor, weight: Tensor, *, gelu: bool) -> Tensor:
    """silu(gate) * up (or gelu) of x [T, n] and a weight [2 W, n] that holds gate then up: [T, W].

    Both contiguous, of one 16-bit dtype; n must be a multiple of 64 and W of 8.
    """
    tokens, inputs = x.shape
    width = len(weight) // 2
    out = torch.empty((tokens, width), dtype=x.dtype, device=x.device)
    _kernel(x.device, x.dtype, gelu=gelu).launch(
        _blocks(x.device),
        (
            tensor_map(x, (TOKEN_TILE, INPUT_TILE), swizzled=True),
            tensor_map(weight.view(2, width, inputs), (1, COLUMNS // 2, INPUT_TILE), swizzled=True),
            tensor_map(out, (TOKEN_TILE, COLUMNS // 2), swizzled=False),
            ctypes.c_int(tokens),
            ctypes.c_int(width),
            ctypes.c_int(inputs),
        ),
    )
    return out
