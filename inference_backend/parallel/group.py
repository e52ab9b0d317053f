"""The ranks that share each layer.

Column-split layers hold a share of the outputs and need no talk; row-split layers hold a share of the inputs, and
their partial sums are added over the ranks (Shoeybi et al., Megatron-LM, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from inference_backend.errors import CheckpointError
from inference_backend.parallel.peers import PeerMemory


@dataclass(frozen=True, slots=True)
class TensorGroup:
    """`size` ranks of one torch process group (None: the default group); `peers` adds up small tensors of two GPUs."""

    rank: int = 0
    size: int = 1
    handle: distributed.ProcessGroup | None = None
    peers: PeerMemory | None = None

    def share(self, total: int, what: str) -> tuple[int, int]:
        """This rank's range [start, stop) of `total` equal parts.

        Raises:
            CheckpointError: `total` cannot be cut into `size` equal shares.
        """
        if total % self.size:
            raise CheckpointError(f"{what} ({total}) cannot be split over {self.size} tensor-parallel ranks")
        each = total // self.size
        return self.rank * each, (self.rank + 1) * each

    def add(self, x: Tensor) -> Tensor:
        """The sum of every rank's x, which may be changed."""
        if self.peers is not None and self.peers.takes(x):
            return self.peers.add(x)
        if self.size > 1:
            distributed.all_reduce(x, group=self.handle)
        return x

    def gather(self, x: Tensor) -> Tensor:
        """Every rank's x [..., n] side by side, [..., n * size]."""
        if self.size == 1:
            return x
        parts = [torch.empty_like(x) for _ in range(self.size)]
        distributed.all_gather(parts, x.contiguous(), group=self.handle)
        return torch.cat(parts, dim=-1)


SINGLE = TensorGroup()
