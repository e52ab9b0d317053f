"""What ranks say to each other: commands and results through pipes, hidden states over torch.distributed.

A step waits for its command. A pipe to each rank takes some tens of microseconds, has no time limit while nobody asks
anything, and says at once that a process has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection

import torch
from torch import Tensor, distributed

from inference_backend.errors import ExecutorError
from inference_backend.ranks.place import RankPlace
from inference_backend.ranks.wire import Message, decode, encode


@contextmanager
def _peers() -> Iterator[None]:
    """What a broken pipe says, as the error that the engine knows."""
    try:
        yield
    except (EOFError, OSError) as error:
        raise ExecutorError(
            "a rank of the model is gone: its process has ended or its connection has broken"
        ) from error


class Link:
    """One rank's connections: rank 0 has a pipe to each other rank, the others one to rank 0, all by rank."""

    def __init__(self, place: RankPlace, pipes: Mapping[int, Connection]) -> None:
        self.place = place
        self._pipes = pipes

    def tell_all(self, message: Message) -> None:
        """Rank 0 to all others.

        Raises:
            ExecutorError: a rank is gone.
        """
        raw = encode(message)
        with _peers():
            for pipe in self._pipes.values():
                pipe.send_bytes(raw)

    def hear(self) -> Message:
        """What rank 0 tells.

        Raises:
            ExecutorError: rank 0 is gone.
        """
        return self._from(0)

    def report(self, message: Message) -> None:
        """Any other rank to rank 0.

        Raises:
            ExecutorError: rank 0 is gone.
        """
        with _peers():
            self._pipes[0].send_bytes(encode(message))

    def await_report(self) -> Message:
        """What the answering rank reports, at rank 0.

        Raises:
            ExecutorError: it is gone.
        """
        return self._from(self.place.answering)

    def least(self, number: int) -> int:
        """The smallest of all ranks' numbers; every rank must call it.

        Raises:
            ExecutorError: a rank is gone.
        """
        if self.place.rank:
            self.report(_number(number))
            return int(self.hear().data["number"])
        found = min(number, *(int(self._from(rank).data["number"]) for rank in self._pipes))
        self.tell_all(_number(found))
        return found

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
        for pipe in self._pipes.values():
            pipe.close()
        distributed.destroy_process_group()

    def _from(self, rank: int) -> Message:
        with _peers():
            return decode(self._pipes[rank].recv_bytes())


def _number(number: int) -> Message:
    return Message("number", {"number": number}, {})
