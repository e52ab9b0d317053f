"""`rails.runtime`, as code written for older versions reaches the actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rails_engine.assembly import Assembly
from rails_engine.prompts import LLMTaskManager


class Runtime:
    """A view of the actions and prompts of one `LLMRails`; it holds nothing of its own."""

    max_events = 500

    def __init__(self, parts: Assembly) -> None:
        self._parts = parts

    @property
    def config(self) -> Any:
        return self._parts.resources.config

    @property
    def registered_actions(self) -> Mapping[str, Any]:
        """Names to functions, classes and objects, as they were registered."""
        registry = self._parts.registry
        return {name: registry.require(name).target for name in registry.names()}

    @property
    def registered_action_params(self) -> Mapping[str, Any]:
        """What is handed to parameters of these names."""
        return self._parts.params

    @property
    def action_dispatcher(self) -> Runtime:
        """The actions under their older name: this view has them too."""
        return self

    @property
    def llm_task_manager(self) -> LLMTaskManager:
        """The prompts, as users' actions know them."""
        return self._parts.resources.task_manager

    def has_registered(self, name: str) -> bool:
        """Whether an action of this name is known, however it is spelt."""
        return self._parts.registry.get(name) is not None

    def get_action(self, name: str) -> Any:
        """What was registered under a name; None where nothing was."""
        found = self._parts.registry.get(name)
        return found.target if found else None

    def get_registered_actions(self) -> list[str]:
        """The names of all actions."""
        return self._parts.registry.names()

    def register_action(
        self, action: Callable[..., Any], name: str | None = None, override: bool = True
    ) -> None:
        """Register an action; without `override` an existing one of that name stays."""
        known = str(name or getattr(action, "__name__", ""))
        if override or self._parts.registry.get(known) is None:
            self._parts.registry.register(action, name)

    def register_actions(self, actions: Any, override: bool = True) -> None:
        """Register the methods of an object that are decorated as actions."""
        for attribute in dir(actions):
            candidate = getattr(actions, attribute)
            if hasattr(candidate, "action_meta"):
                self.register_action(candidate, candidate.action_meta["name"], override)

    def register_action_param(self, name: str, value: Any) -> None:
        """Hand `value` to every action that has a parameter of this name."""
        self._parts.params[name] = value
