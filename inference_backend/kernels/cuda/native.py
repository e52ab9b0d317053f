"""Kernels in CUDA C++, for instructions that Triton has no words for: compiled when first used, by the NVRTC of torch.

Needs no compiler on the machine and no headers: a source brings its own declarations. Both libraries, NVRTC and the
driver, are called through their C interfaces (NVIDIA, NVRTC documentation; CUDA driver API, tensor maps and launches).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import torch
from torch import Tensor

# Values of the C interfaces' enumerations.
_MOST_SHARED_MEMORY: Final = 8
_TYPES: Final = {torch.bfloat16: 9, torch.float16: 6}
_SWIZZLES: Final = {False: 0, True: 3}
_WIDEST_PROMOTION: Final = 3

_NOTHING: Final = 'extern "C" __global__ void nothing() {}'
_MAP_BYTES: Final = 128
_MAP_ALIGNMENT: Final = 64


@cache
def _compiler() -> ctypes.CDLL | None:
    version = (torch.version.cuda or "").partition(".")[0]
    try:
        return ctypes.CDLL(f"libnvrtc.so.{version}")
    except OSError:
        return None


@cache
def _driver() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


@lru_cache(maxsize=4)
def can_compile(options: tuple[str, ...]) -> bool:
    """Whether the driver and NVRTC are at hand, and the latter works with these options."""
    if _compiler() is None or _driver() is None:
        return False
    try:
        return bool(compiled(_NOTHING, options))
    except RuntimeError:
        return False


def _checked(status: int, what: str) -> None:
    if status:
        raise RuntimeError(f"{what} failed with status {status}")


def compiled(source: str, options: Sequence[str]) -> bytes:
    """The machine code of a CUDA C++ source.

    Raises:
        RuntimeError: there is no compiler, or the source has errors; the message holds what the compiler says.
    """
    library = _compiler()
    if library is None:
        raise RuntimeError("NVRTC is not there: ask `can_compile` first")
    program = ctypes.c_void_p()
    made = library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), None, 0, None, None)
    _checked(made, "nvrtcCreateProgram")
    try:
        words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        if library.nvrtcCompileProgram(program, len(options), words):
            raise RuntimeError(f"a kernel does not compile: {_read(library, program, 'ProgramLog').decode()}")
        return _read(library, program, "CUBIN")
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _read(library: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _checked(getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)), "NVRTC")
    text = ctypes.create_string_buffer(size.value)
    _checked(getattr(library, f"nvrtcGet{what}")(program, text), "NVRTC")
    return text.raw


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function on one device, of so many threads and so many bytes of shared memory a block."""

    driver: ctypes.CDLL
    function: ctypes.c_void_p
    threads: int
    shared_bytes: int

    def launch(self, blocks: int, arguments: Sequence[ctypes.Array[ctypes.c_char] | ctypes.c_int]) -> None:
        """Start it on the current stream; tensor maps are passed by value.

        Raises:
            RuntimeError: the driver refuses.
        """
        addresses = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(each) for each in arguments))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        _checked(
            self.driver.cuLaunchKernel(
                self.function, blocks, 1, 1, self.threads, 1, 1, self.shared_bytes, stream, addresses, None
            ),
            "cuLaunchKernel",
        )


def loaded(code: bytes, name: str, threads: int, shared_bytes: int) -> Kernel:
    """A function of compiled code on the current device, for as long as the process lives.

    Raises:
        RuntimeError: the device does not take the code.
    """
    driver = _driver()
    if driver is None:
        raise RuntimeError("the CUDA driver is not there: ask `can_compile` first")
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    _checked(driver.cuModuleLoadData(ctypes.byref(module), code), "cuModuleLoadData")
    _checked(driver.cuModuleGetFunction(ctypes.byref(function), module, name.encode()), "cuModuleGetFunction")
    _checked(driver.cuFuncSetAttribute(function, _MOST_SHARED_MEMORY, shared_bytes), "cuFuncSetAttribute")
    return Kernel(driver, function, threads, shared_bytes)


def tensor_map(x: Tensor, box: Sequence[int], *, swizzled: bool) -> ctypes.Array[ctypes.c_char]:
    """What the tensor memory accelerator is told of a tensor: tiles of shape `box`, rows of 128 `swizzled` bytes or plain.

    Beyond the tensor's ends zeros are read and nothing is written. `x`, float16 or bfloat16, begins at a multiple of 16
    bytes, and so do all rows; its last dimension is contiguous.

    Raises:
        RuntimeError: the driver refuses the tensor or the box.
    """
    driver = _driver()
    if driver is None:
        raise RuntimeError("the CUDA driver is not there: ask `can_compile` first")
    rank = x.dim()
    room = ctypes.create_string_buffer(_MAP_BYTES + _MAP_ALIGNMENT)
    start = -ctypes.addressof(room) % _MAP_ALIGNMENT
    made = (ctypes.c_char * _MAP_BYTES).from_buffer(room, start)
    sizes = (ctypes.c_uint64 * rank)(*reversed(x.shape))
    strides = (ctypes.c_uint64 * (rank - 1))(
        *(stride * x.element_size() for stride in reversed(x.stride()[:-1]))
    )
    lengths = (ctypes.c_uint32 * rank)(*reversed(box))
    steps = (ctypes.c_uint32 * rank)(*(1 for _ in range(rank)))
    status = driver.cuTensorMapEncodeTiled(
        made, _TYPES[x.dtype], rank, ctypes.c_void_p(x.data_ptr()), sizes, strides, lengths, steps,
        0, _SWIZZLES[swizzled], _WIDEST_PROMOTION, 0,
    )  # fmt: skip
    _checked(status, f"a tensor map of {tuple(x.shape)} in tiles of {tuple(box)}")
    return made
