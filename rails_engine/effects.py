"""The table from action names to what carries them out.

First the actions that the configuration and the caller registered, then the runtime's own; an action that neither
knows is left to the caller, who answers with its `…Finished` event.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rails_engine.errors import LLMCallException
from rails_engine.scene import Effect, Outcome, Scene

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How one action is carried out; an asynchronous one does not hold up its turn."""

    name: str
    effect: Effect
    execute_async: bool = False

    async def run(self, scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
        """Carry it out. What an action raises becomes a failed outcome: the flow gets None and goes on.

        Raises:
            LLMCallException: a model call failed; this alone ends the turn.
        """
        try:
            return await self.effect(scene, arguments)
        except LLMCallException:
            raise
        except Exception as error:  # noqa: BLE001 -- the rim: users' actions may raise anything
            log.warning("action %s failed: %s: %s", self.name, type(error).__name__, error, exc_info=error)
            return Outcome(failure=error)


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
