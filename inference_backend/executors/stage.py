"""A pipeline stage's place: which share of the layers this executor runs, and whom it hears from and speaks to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class StageLink(Protocol):
    """How a pipeline stage hears from the one before and speaks to the one after."""

    def receive_states(self, like: Tensor) -> Tensor:
        """States [T, hidden size] of the stage before, in the shape, dtype and place of `like`."""
        ...

    def send_states(self, states: Tensor) -> None:
        """Hand states [T, hidden size] to the stage after."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """Pipeline stage `number` of `count`; `link` is set where there are several."""

    number: int = 0
    count: int = 1
    link: StageLink | None = None

    @property
    def last(self) -> bool:
        """Whether this stage samples."""
        return self.number == self.count - 1

    def receive(self, like: Tensor) -> Tensor:
        """The states [T, hidden size] that the stage before sends; `like` itself where there is none."""
        return like if self.link is None or not self.number else self.link.receive_states(like)

    def send(self, states: Tensor) -> None:
        """Hand states to the stage after, if there is one."""
        if self.link is not None and not self.last:
            self.link.send_states(states)


WHOLE = Stage()
