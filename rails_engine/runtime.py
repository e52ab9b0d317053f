"""`rails.runtime`, as code written for older versions reaches the actions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rails_engine.assembly import Assembly


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
        """Names to functions."""
        return {name: self._parts.registry.get(name) for name in self._parts.registry.names()}

    @property
    def llm_task_manager(self) -> Any:
        return self._parts.resources.prompts

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
