"""CUDA graphs of steps: of decode rows alone by their number, of small mixed ones by theirs tokens, padded up."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured computation, and the tensor at a fixed address that a replay writes."""

    graph: torch.cuda.CUDAGraph
    output: Tensor

    def replay(self) -> Tensor:
        self.graph.replay()
        return self.output


def bucket_sizes(largest: int) -> tuple[int, ...]:
    """Numbers of rows that get a graph: dense where one row more costs most, wider above, and the largest itself."""
    sizes = {1, 2, 4, *range(8, 128, 8), *range(128, 256, 16), *range(256, 512, 32), *range(512, largest, 64)}
    return (*sorted(size for size in sizes if size < largest), largest)


def mixed_sizes(largest: int) -> tuple[int, ...]:
    """Numbers of tokens up to which small mixed steps are padded: an eighth more at most."""
    sizes, size = [], 16
    while size <= largest:
        sizes.append(size)
        size += max(16, 1 << (size.bit_length() - 3))
    return tuple(sizes)


class GraphSet:
    """Graphs by size, sharing one pool of memory; captured largest first, so that small ones fit into it."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self._captured: dict[int, Captured] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def capture(self, run: Callable[[int], Tensor]) -> None:
        """Capture `run(size)` for each size."""
        for size in reversed(self.sizes):
            self._captured[size] = self._capture(lambda size=size: run(size))  # type: ignore[misc]

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
        """The smallest captured size of at least `wanted`."""
        at = bisect_left(self.sizes, wanted)
        return self.sizes[at] if at < len(self.sizes) and self.sizes[at] in self._captured else None

    def replay(self, size: int) -> Tensor:
        """Run the graph of exactly that size; what it returned at capture."""
        return self._captured[size].replay()
