"""The surroundings of an expression in Colang 1.0: the conversation's variables and the configuration."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from colang.copying import Copier, containers_in
from colang.errors import ColangValueError

CONFIG: Final = "config"
"""The variable that shows the configuration, where the conversation has none of that name."""
GROWTH_BOUND = 1_000_000
"""Characters or elements that one slide may make."""


@dataclass(slots=True)
class Variables:
    """Implements `colang.expressions.Scope` over the variables of a conversation."""

    values: dict[str, Any]
    config: Any = None
    pending: dict[str, Any] = field(default_factory=dict)
    """Values of theirs that stand elsewhere too, as `State.pending`."""
    growth: int = 0
    foreign: frozenset[int] | None = None
    """Containers that are the configuration's; None until the values have been given containers of their own."""

    def read(self, name: str) -> Any:
        """See `Scope.read`; `$config` is the configuration where the conversation has no variable of that name."""
        value = self.values.get(name)
        return self.config if value is None and name == CONFIG else value

    def attribute(self, target: Any, name: str) -> Any:
        """See `Scope.attribute`: there are no runtime objects in 1.0.

        Raises:
            AttributeError: always.
        """
        raise AttributeError(f"{type(target).__name__} has no attribute `{name}` in Colang 1.0")

    def uid(self) -> str:
        """See `Scope.uid`."""
        return str(uuid4())

    def random(self) -> float:
        """See `Scope.random`."""
        return random.random()

    def flows_info(self, uid: str | None) -> Any:
        """A function of 2.x.

        Raises:
            ColangValueError: always.
        """
        raise ColangValueError(f"Colang 1.0 has no flows_info({uid or ''})")

    def flow_defined(self, name: str) -> bool:
        """A function of 2.x.

        Raises:
            ColangValueError: always.
        """
        raise ColangValueError(f"Colang 1.0 has no flow_defined({name})")

    def within(self, name: str) -> bool:
        """A function of 2.x.

        Raises:
            ColangValueError: always.
        """
        raise ColangValueError(f"Colang 1.0 has no within({name})")

    def unshare(self, container: Any) -> Any:
        """See `Scope.unshare`; the variables are given copies of all containers, once for these surroundings."""
        if self.foreign is None:
            self.foreign = containers_in(self.config)
        elif id(container) not in self.foreign:
            return container
        copier = Copier()
        for values in (self.values, self.pending):
            values.update(copier.mapping(values))
        return copier.copy(container)

    def charge(self, size: int) -> None:
        """See `Scope.charge`.

        Raises:
            ColangValueError: more than `GROWTH_BOUND` in one slide.
        """
        self.growth += size
        if self.growth > GROWTH_BOUND:
            raise ColangValueError("the values that one step makes and compares are too large")
