"""What an expression may ask of the flow it runs in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from colang.values import ActionRef, FlowRef, StateRef, SystemRef


class Scope(Protocol):
    """The surroundings of an evaluation: one flow instance in one state."""

    def read(self, name: str) -> Any:
        """A variable; None where it was never set."""

    def attribute(self, target: FlowRef | ActionRef | SystemRef | StateRef, name: str) -> Any:
        """A listed field of a runtime object, or one of its variables.

        Raises:
            AttributeError: there is none of that name.
        """

    def uid(self) -> str:
        """A fresh UUID text."""

    def random(self) -> float:
        """The next number in [0, 1)."""

    def flows_info(self, uid: str | None) -> Any:
        """What `flows_info()` returns."""

    def flow_defined(self, name: str) -> bool:
        """True if a flow of this name could be started."""

    def within(self, name: str) -> bool:
        """True if a flow of this name is above this one."""

    def unshare(self, container: Any) -> Any:
        """The container to change in place of `container`, so that forks of the state do not see the change."""

    def charge(self, size: int) -> None:
        """Account for a value of `size` characters or elements made or compared in this step."""


Compiled: TypeAlias = Callable[[Scope], Any]
