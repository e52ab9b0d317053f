"""How our Triton kernels are launched: programmatic dependent launch on chips that have it.

On Hopper and later a kernel may start while the one before it drains (`wait_previous` is where it needs that
one's results; what it does earlier, such as loading weights, overlaps) and may let the next one start early
(`release_next`). Elsewhere, and in Triton's interpreter, both are nothing.
"""

import os
from functools import cache, lru_cache

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait


@triton.jit
def wait_previous(ON: tl.constexpr):
    """Waits until everything the kernels before this one wrote can be read."""
    if ON:
        gdc_wait()


@triton.jit
def release_next(ON: tl.constexpr):
    """Lets the next kernel begin its part that needs nothing from this one."""
    if ON:
        gdc_launch_dependents()


@cache
def early_launch() -> bool:
    """Whether kernels are launched before their predecessor ends (`INTERLOCK_PDL=0` switches it off)."""
    if os.environ.get("INTERLOCK_PDL", "1") == "0" or os.environ.get("TRITON_INTERPRET") == "1":
        return False
    return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 9


@lru_cache(maxsize=16)
def has_tensor_memory_accelerator(device: torch.device) -> bool:
    """Whether tiles can be loaded by descriptor, as Hopper and later do it; Triton's interpreter can, on a CPU."""
    return device.type == "cpu" or torch.cuda.get_device_capability(device)[0] >= 9


def launch_options() -> dict[str, bool]:
    """Keyword options for every kernel launch."""
    return {"launch_pdl": True} if early_launch() else {}
