"""CUDA graphs of steps: of decode rows alone by their number, of small mixed ones by their tokens, padded up.

Padding up to the next size is not always best: cuBLAS's choice of kernel for one number of rows may take twice the time
of its choice for a few more. So captured graphs can be timed, and a step then takes the fastest that has room.
"""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from inference_backend.kernels.cuda import MOST_ADAPTED_TOKENS


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured computation, and the tensor at a fixed address that a replay writes."""

    graph: torch.cuda.CUDAGraph
    output: Tensor

    def replay(self) -> Tensor:
        """Run it; its output."""
        self.graph.replay()
        return self.output


def bucket_sizes(largest: int) -> tuple[int, ...]:
    """Numbers of rows that get a graph: in steps of 8, wider where a row more costs little, and the largest itself."""
    sizes = {1, 2, 4, *range(8, 256, 8), *range(256, 512, 16), *range(512, largest, 64)}
    return (*sorted(size for size in sizes if size < largest), largest)


def adapted_sizes(rows: tuple[int, ...]) -> tuple[int, ...]:
    """Which of the numbers of rows get a second graph, for steps with LoRA adapters: few, since few steps have them."""
    return tuple(size for size in rows if size <= MOST_ADAPTED_TOKENS and (size <= 4 or size % 16 == 0))


def mixed_sizes(largest: int) -> tuple[int, ...]:
    """Numbers of tokens up to which small mixed steps are padded: an eighth more at most."""
    sizes, size = [], 16
    while size <= largest:
        sizes.append(size)
        size += max(16, 1 << (size.bit_length() - 3))
    return tuple(sizes)


_CLEARLY_LESS = 0.97  # timings of one graph differ by less
_REPLAYS = 2


def _milliseconds(graph: Captured) -> float:
    """The shortest of a few replays."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(_REPLAYS + 1)]
    graph.replay()
    events[0].record()
    for event in events[1:]:
        graph.replay()
        event.record()
    torch.cuda.synchronize()
    spent: list[float] = [start.elapsed_time(end) for start, end in pairwise(events)]
    return min(spent)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage is collected meanwhile: a graph of an earlier model that is freed while one is captured spoils it."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class GraphSet:
    """Graphs by size, sharing one pool of memory; captured largest first, so that small ones fit into it."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self._captured: dict[int, Captured] = {}
        self._fastest: dict[int, int] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def capture(self, run: Callable[[int], Tensor]) -> None:
        """Capture `run(size)` for each size."""
        with _uncollected():
            for size in reversed(self.sizes):
                self._captured[size] = self._capture(partial(run, size))

    def _capture(self, run: Callable[[], Tensor]) -> Captured:
        """Run once to compile kernels and make their workspaces, then record."""
        run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        # Other threads (NCCL's watchdog) may call the driver while this one records.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            output = run()
        return Captured(graph, output)

    def fitting(self, wanted: int) -> int | None:
        """The smallest captured size of at least `wanted`, or a larger one that was found to be faster."""
        at = bisect_left(self.sizes, wanted)
        if at == len(self.sizes) or self.sizes[at] not in self._captured:
            return None
        return self._fastest.get(self.sizes[at], self.sizes[at])

    def measure(self) -> None:
        """Time every graph, so that a size gives way to larger ones that take clearly less."""
        spent = {size: _milliseconds(graph) for size, graph in self._captured.items()}
        best = max(spent, default=0)
        for size in sorted(spent, reverse=True):
            if spent[best] > spent[size] * _CLEARLY_LESS:
                best = size
            self._fastest[size] = best

    def replay(self, size: int) -> Tensor:
        """Run the graph of exactly that size; what it returned at capture."""
        return self._captured[size].replay()
