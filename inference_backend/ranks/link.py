"""What ranks say to each other, over torch.distributed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, distributed

from inference_backend.errors import ExecutorError
from inference_backend.ranks.place import RankPlace
from inference_backend.ranks.wire import Message, decode, encode


@contextmanager
def _peers() -> Iterator[None]:
    """What torch says when a connection breaks, as the error that the engine knows."""
    try:
        yield
    except RuntimeError as error:
        raise ExecutorError(
            "a rank of the model is gone: its process has ended or its connection has broken"
        ) from error


class Link:
    """One rank's connections. `control` is a group of all ranks that carries CPU tensors."""

    def __init__(self, place: RankPlace, control: distributed.ProcessGroup | None) -> None:
        self.place = place
        self._control = control

    def tell_all(self, message: Message) -> None:
        """Rank 0 to all others.

        Raises:
            ExecutorError: a rank is gone.
        """
        raw = torch.from_numpy(np.frombuffer(encode(message), dtype=np.uint8).copy())
        with _peers():
            distributed.broadcast(torch.tensor([len(raw)]), src=0, group=self._control)
            distributed.broadcast(raw, src=0, group=self._control)

    def hear(self) -> Message:
        """What rank 0 tells."""
        length = torch.zeros(1, dtype=torch.int64)
        distributed.broadcast(length, src=0, group=self._control)
        raw = torch.empty(int(length), dtype=torch.uint8)
        distributed.broadcast(raw, src=0, group=self._control)
        return decode(raw.numpy().tobytes())

    def report(self, message: Message) -> None:
        """The answering rank to rank 0."""
        raw = torch.from_numpy(np.frombuffer(encode(message), dtype=np.uint8).copy())
        distributed.send(torch.tensor([len(raw)]), dst=0, group=self._control)
        distributed.send(raw, dst=0, group=self._control)

    def await_report(self) -> Message:
        """What the answering rank reports, at rank 0.

        Raises:
            ExecutorError: it is gone.
        """
        with _peers():
            length = torch.zeros(1, dtype=torch.int64)
            distributed.recv(length, src=self.place.answering, group=self._control)
            raw = torch.empty(int(length), dtype=torch.uint8)
            distributed.recv(raw, src=self.place.answering, group=self._control)
        return decode(raw.numpy().tobytes())

    def least(self, number: int) -> int:
        """The smallest of all ranks' numbers.

        Raises:
            ExecutorError: a rank is gone.
        """
        value = torch.tensor([number])
        with _peers():
            distributed.all_reduce(value, op=distributed.ReduceOp.MIN, group=self._control)
        return int(value)

    def receive_states(self, like: Tensor) -> Tensor:
        """Hidden states from the stage before, into a tensor of the same shape, dtype and device."""
        states = torch.empty_like(like)
        distributed.recv(states, src=self.place.before)
        return states

    def send_states(self, states: Tensor) -> None:
        """Hidden states to the stage after."""
        distributed.send(states.contiguous(), dst=self.place.after)

    def close(self) -> None:
        """Leave the other ranks."""
        distributed.destroy_process_group()
