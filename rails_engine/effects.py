"""The table from action names to what carries them out.

First the actions that the configuration and the caller registered, then the runtime's own; an action that neither
knows is left to the caller, who answers with its `…Finished` event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from rails_engine.scene import Plan


class Registered(Protocol):
    """The actions that the configuration and the caller registered."""

    def find(self, name: str) -> Plan | None:
        """The plan for `FooBarAction`, registered under that name or as `foo_bar`."""
        ...


class Effects:
    """Finds the plan for an action's name."""

    def __init__(self, registered: Registered, system: Mapping[str, Plan]) -> None:
        self._registered = registered
        self._system = system

    def find(self, action: str) -> Plan | None:
        """The plan for `FooAction`; None if the caller has to carry it out."""
        return self._registered.find(action) or self._system.get(action)

    def parts(self) -> tuple[Registered, Mapping[str, Plan]]:
        """What was registered, and the runtime's own."""
        return self._registered, self._system
