"""The surroundings of an expression in Colang 1.0: the conversation's variables and the configuration."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from colang.errors import ColangValueError

CONFIG: Final = "config"
"""The variable that shows the configuration, where the conversation has none of that name."""
GROWTH_BOUND = 1_000_000
"""Characters or elements that one slide may make."""


@dataclass(slots=True)
class Variables:
    """Implements `colang.expressions.Scope` over the variables of a conversation."""

    values: Mapping[str, Any]
    config: Any = None
    growth: int = 0

    def read(self, name: str) -> Any:
        value = self.values.get(name)
        return self.config if value is None and name == CONFIG else value

    def attribute(self, target: Any, name: str) -> Any:
        raise AttributeError(f"{type(target).__name__} has no attribute `{name}` in Colang 1.0")

    def uid(self) -> str:
        return str(uuid4())

    def random(self) -> float:
        return random.random()

    def flows_info(self, uid: str | None) -> Any:
        raise ColangValueError(f"Colang 1.0 has no flows_info({uid or ''})")

    def flow_defined(self, name: str) -> bool:
        raise ColangValueError(f"Colang 1.0 has no flow_defined({name})")

    def within(self, name: str) -> bool:
        raise ColangValueError(f"Colang 1.0 has no within({name})")

    def unshare(self, container: Any) -> Any:
        return container

    def charge(self, size: int) -> None:
        self.growth += size
        if self.growth > GROWTH_BOUND:
            raise ColangValueError("the values made in one step take too much memory")
