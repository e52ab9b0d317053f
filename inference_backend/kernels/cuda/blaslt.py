"""Matrix products of many tokens by the fastest of cuBLASLt's algorithms, found by trying them on this very card.

The library has several algorithms for every shape, and torch takes the one that it puts first, a guess from the shape
alone. On a card at its power limit, where long prompts put it, the clock falls until the kernel's power fits, so that
the algorithm that spends the least energy wins: on an H200 up to 5 % over the first guess. For odd numbers of tokens
the guess can be off by more. The trials run once, when a model is loaded; what they found belongs to the model.

cuBLASLt is the one that torch has loaded, called through its C interface (NVIDIA, cuBLAS documentation, chapter 3).
"""

from __future__ import annotations

import ctypes
import math
import weakref
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from itertools import pairwise
from typing import Final, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

_CANDIDATES: Final = 8
_WORKSPACE: Final = 32 << 20  # bytes, what cuBLAS itself takes on Hopper
_ALIGNMENT: Final = 16  # bytes: a tensor that begins elsewhere goes to torch

# Values of the C interface's enumerations.
_COMPUTE_FLOAT32: Final = 68
_FLOAT32: Final = 0
_TYPES: Final = {torch.bfloat16: 14, torch.float16: 2}
_TRANSPOSE_A: Final = 3
_TRANSPOSED: Final = 1
_LAYOUT_COLUMNS: Final = 3
_PREFER_WORKSPACE: Final = 1
_PREFER_REDUCTIONS: Final = 3
_REDUCE_IN_FLOAT32: Final = 2  # split reductions are summed in order and in float32: the same bits every time
_PREFER_ALIGNMENTS: Final = (5, 6, 7, 8)

_REPEATS: Final = 6  # products a timing, of as many weights: none is found in the second-level cache
_PAUSE: Final = 4_000_000  # cycles, about 2 ms: the host's head start
_POWER_TOKENS: Final = 2048  # from here on products run at the power limit, and are timed there
_BURST: Final = 0.03  # seconds of one algorithm before the next one's turn: the power limit bites sooner
_WARMING: Final = 25  # bursts before the first that counts: half a second until the power limit
_FINALISTS: Final = 4
_ROUNDS: Final = 6
_CLEARLY_LESS: Final = 0.99  # timings of one algorithm differ by less


class _Algorithm(ctypes.Structure):
    _fields_ = (("data", ctypes.c_uint64 * 8),)


class _Found(ctypes.Structure):
    _fields_ = (
        ("algorithm", _Algorithm),
        ("workspace", ctypes.c_size_t),
        ("state", ctypes.c_int),
        ("waves", ctypes.c_float),
        ("reserved", ctypes.c_int * 4),
    )


_Handle: TypeAlias = ctypes.c_void_p
_Run: TypeAlias = Callable[[Tensor], Tensor]


@cache
def _library() -> ctypes.CDLL | None:
    version = (torch.version.cuda or "").partition(".")[0]
    try:
        return ctypes.CDLL(f"libcublasLt.so.{version}")
    except OSError:
        return None


def _checked(status: int) -> None:
    if status:
        raise RuntimeError(f"cuBLASLt failed with status {status}")


@lru_cache(maxsize=16)
def _context(device: torch.device) -> tuple[ctypes.CDLL, _Handle, Tensor]:
    """The library, a handle, and the workspace that all products of a device share: they run one after another."""
    handle = _Handle()
    library = _library()
    if library is None:
        raise RuntimeError("cuBLASLt is not there: ask `can_tune` first")
    with torch.cuda.device(device):
        _checked(library.cublasLtCreate(ctypes.byref(handle)))
    return library, handle, torch.empty(_WORKSPACE, dtype=torch.uint8, device=device)


def can_tune(weight: Tensor) -> bool:
    """Whether products with such a weight can be tuned: of 16 bits, on a GPU, with cuBLASLt at hand."""
    return weight.is_cuda and weight.dtype in _TYPES and weight.is_contiguous() and _library() is not None


class _Multiplication:
    """x [tokens, inputs] @ weight [outputs, inputs].T, over or onto what is there; tokens may change from call to call.

    cuBLASLt counts columns first, so it is told of the transposed product: weight.T is its A, x.T its B.
    """

    def __init__(self, weight: Tensor, *, added: bool) -> None:
        self.added = added
        self._outputs, self._inputs = weight.shape
        self._call, self._handle, self._workspace = _context(weight.device)
        self._kind = _TYPES[weight.dtype]
        self._one = ctypes.c_float(1.0)
        self._onto = ctypes.c_float(1.0 if added else 0.0)
        self._made: list[tuple[str, _Handle]] = []
        self._operation = self._new("cublasLtMatmulDesc", _COMPUTE_FLOAT32, _FLOAT32)
        self._set("cublasLtMatmulDesc", self._operation, _TRANSPOSE_A, ctypes.c_int32(_TRANSPOSED))
        self._weight = self._layout(self._inputs, self._outputs)
        self._x = self._layout(self._inputs, 1)
        self._out = self._layout(self._outputs, 1)
        self._tokens = 1
        weakref.finalize(self, _destroy, self._call, self._made).atexit = False

    def candidates(self, tokens: int) -> list[_Algorithm]:
        """The library's proposals for so many tokens, its favourite first."""
        self._widen(tokens)
        preference = self._new("cublasLtMatmulPreference")
        kind = "cublasLtMatmulPreference"
        self._set(kind, preference, _PREFER_WORKSPACE, ctypes.c_size_t(_WORKSPACE))
        self._set(kind, preference, _PREFER_REDUCTIONS, ctypes.c_uint32(_REDUCE_IN_FLOAT32))
        for which in _PREFER_ALIGNMENTS:
            self._set(kind, preference, which, ctypes.c_uint32(_ALIGNMENT))
        found, count = (_Found * _CANDIDATES)(), ctypes.c_int()
        _checked(
            self._call.cublasLtMatmulAlgoGetHeuristic(
                self._handle, self._operation, self._weight, self._x, self._out, self._out, preference,
                _CANDIDATES, found, ctypes.byref(count),
            )
        )  # fmt: skip
        return [each.algorithm for each in found[: count.value] if not each.state]

    def takes(self, algorithm: _Algorithm, tokens: int) -> bool:
        """Whether an algorithm, proposed for another number of tokens, serves this one."""
        self._widen(tokens)
        found = _Found()
        status = self._call.cublasLtMatmulAlgoCheck(
            self._handle, self._operation, self._weight, self._x, self._out, self._out,
            ctypes.byref(algorithm), ctypes.byref(found),
        )  # fmt: skip
        return not status and not found.state and found.workspace <= _WORKSPACE

    def run(self, algorithm: _Algorithm, x: Tensor, weight: Tensor, out: Tensor) -> Tensor:
        """Multiply on the current stream; `out` is [tokens, outputs], contiguous."""
        self._widen(len(x))
        stream = torch.cuda.current_stream(x.device).cuda_stream
        _checked(
            self._call.cublasLtMatmul(
                self._handle, self._operation, ctypes.byref(self._one), _address(weight), self._weight, _address(x),
                self._x, ctypes.byref(self._onto), _address(out), self._out, _address(out), self._out,
                ctypes.byref(algorithm), _address(self._workspace), ctypes.c_size_t(_WORKSPACE),
                ctypes.c_void_p(stream),
            )
        )  # fmt: skip
        return out

    def _widen(self, tokens: int) -> None:
        if tokens != self._tokens:
            for layout in (self._x, self._out):
                self._set("cublasLtMatrixLayout", layout, _LAYOUT_COLUMNS, ctypes.c_uint64(tokens))
            self._tokens = tokens

    def _layout(self, rows: int, columns: int) -> _Handle:
        sizes = ctypes.c_uint64(rows), ctypes.c_uint64(columns), ctypes.c_int64(rows)
        return self._new("cublasLtMatrixLayout", self._kind, *sizes)

    def _new(self, kind: str, *arguments: object) -> _Handle:
        made = _Handle()
        _checked(getattr(self._call, f"{kind}Create")(ctypes.byref(made), *arguments))
        self._made.append((kind, made))
        return made

    def _set(self, kind: str, of: _Handle, which: int, value: ctypes._SimpleCData[int]) -> None:
        size = ctypes.c_size_t(ctypes.sizeof(value))
        _checked(getattr(self._call, f"{kind}SetAttribute")(of, which, ctypes.byref(value), size))


def _destroy(library: ctypes.CDLL, made: list[tuple[str, _Handle]]) -> None:
    for kind, handle in made:
        getattr(library, f"{kind}Destroy")(handle)


def _address(x: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.data_ptr())


class TunedProducts:
    """A `values.Multiplier` for weights of one shape, dtype and device, in one of the two ways; torch's for the other.

    Numbers of tokens that were tried have their own choice, those between take the choice of the next larger one.
    """

    def __init__(self, weight: Tensor, *, added: bool) -> None:
        self._added = added
        self._multiplication = _Multiplication(weight, added=added)
        self._sizes: list[int] = []
        self._best: list[_Algorithm | None] = []
        self._choices: dict[int, _Algorithm | None] = {}

    def tune(self, weights: Sequence[Tensor], sizes: Sequence[int]) -> None:
        """Try all algorithms for these numbers of tokens; `weights`, of the one shape, take turns as in a model."""
        for tokens in sorted(sizes):
            self._sizes.append(tokens)
            self._best.append(self._fastest(weights, tokens))

    def product(self, x: Tensor, weight: Tensor) -> Tensor:
        """The product x @ weight.T: [T, inputs] to [T, outputs]."""
        algorithm = None if self._added else self._choice(x)
        if algorithm is None:
            return functional.linear(x, weight)
        return self._multiplication.run(algorithm, x, weight, x.new_empty((len(x), len(weight))))

    def add_product(self, total: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """`total` [T, outputs], to which x @ weight.T has been added where it lies."""
        algorithm = self._choice(x) if self._added and _plain(total) else None
        if algorithm is None:
            return total.addmm_(x, weight.t())
        return self._multiplication.run(algorithm, x, weight, total)

    def _choice(self, x: Tensor) -> _Algorithm | None:
        if not _plain(x):
            return None
        tokens = len(x)
        if tokens not in self._choices:
            at = bisect_left(self._sizes, tokens)
            best = self._best[at] if at < len(self._best) else None
            fits = best is not None and self._multiplication.takes(best, tokens)
            self._choices[tokens] = best if fits else None
        return self._choices[tokens]

    def _fastest(self, weights: Sequence[Tensor], tokens: int) -> _Algorithm | None:
        """The algorithm that takes clearly less time than torch's way, if one does."""
        x = torch.randn(tokens, weights[0].shape[1], dtype=weights[0].dtype, device=weights[0].device)
        out = torch.zeros(tokens, len(weights[0]), dtype=x.dtype, device=x.device)
        proposed = self._multiplication.candidates(tokens)
        candidates = [each for each in proposed if self._works(each, x, out, weights[0])]
        runs = [partial(self._torchs, x, out), *(partial(self._run, each, x, out) for each in candidates)]
        spent = _spent_at_the_limit(runs, weights) if tokens > _POWER_TOKENS else _spent(runs, weights)
        best = min(range(len(spent)), key=spent.__getitem__)
        return candidates[best - 1] if best and spent[best] < spent[0] * _CLEARLY_LESS else None

    def _works(self, algorithm: _Algorithm, x: Tensor, out: Tensor, weight: Tensor) -> bool:
        """Whether the library carries its own proposal out; the first call also loads the kernel."""
        try:
            self._run(algorithm, x, out, weight)
        except RuntimeError:
            return False
        return True

    def _torchs(self, x: Tensor, out: Tensor, weight: Tensor) -> Tensor:
        return out.addmm_(x, weight.t()) if self._added else functional.linear(x, weight)

    def _run(self, algorithm: _Algorithm, x: Tensor, out: Tensor, weight: Tensor) -> Tensor:
        return self._multiplication.run(algorithm, x, weight, out)


def _plain(x: Tensor) -> bool:
    return x.is_contiguous() and not x.data_ptr() % _ALIGNMENT


def _spent(runs: Sequence[_Run], weights: Sequence[Tensor]) -> list[float]:
    """Milliseconds of a few products of each run.

    All are queued behind a pause, so that the time the host takes between launches does not show.
    """
    runs[0](weights[0])  # torch's kernel may not have been loaded yet
    torch.cuda._sleep(_PAUSE)  # noqa: SLF001 -- torch's own tests queue work behind it
    events = [torch.cuda.Event(enable_timing=True) for _ in range(len(runs) + 1)]
    events[0].record()
    for run, event in zip(runs, events[1:], strict=True):
        for repeat in range(_REPEATS):
            run(weights[repeat % len(weights)])
        event.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in pairwise(events)]


def _spent_at_the_limit(runs: Sequence[_Run], weights: Sequence[Tensor]) -> list[float]:
    """Milliseconds of each run with the card at its power limit: bursts of each in turn, then of the best few again.

    A burst's clock still depends on the power of the one before, so the last rounds go forth and back. Those that
    are left out of them have infinity.
    """
    repeats = max(1, int(_BURST * 1e3 / max(_spent(runs[:1], weights)[0] / _REPEATS, 1e-3)))
    _burst(runs[0], weights, repeats * _WARMING)
    first = [_burst(run, weights, repeats) for run in runs]
    best = sorted(range(len(runs)), key=first.__getitem__)[:_FINALISTS]
    finalists = sorted({0, *best})
    spent = dict.fromkeys(finalists, 0.0)
    for attempt in range(_ROUNDS):
        for at in finalists if attempt % 2 else reversed(finalists):
            spent[at] += _burst(runs[at], weights, repeats)
    return [spent.get(at, math.inf) for at in range(len(runs))]


def _burst(run: _Run, weights: Sequence[Tensor], repeats: int) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for repeat in range(repeats):
        run(weights[repeat % len(weights)])
    end.record()
    end.synchronize()
    took: float = start.elapsed_time(end)
    return took
