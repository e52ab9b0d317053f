"""`ActionDispatcher`: a registry that also runs its actions, as users' code and tests of actions know it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from rails_engine.actions.discovery import discover_in
from rails_engine.actions.registry import ActionRegistry
from rails_engine.actions.running import ActionRunner
from rails_engine.error_boundary import ErrorBoundary
from rails_engine.errors import ActionError, LLMCallException

log = logging.getLogger(__name__)


class ActionDispatcher:
    """Actions by name. `load_all_actions` reads those of `config_path` and `import_paths` (folders)."""

    def __init__(
        self,
        load_all_actions: bool = True,
        config_path: str | None = None,
        import_paths: Iterable[str] | None = None,
    ) -> None:
        self._registry = ActionRegistry()
        self._runner = ActionRunner()
        if load_all_actions:
            for folder in (*([config_path] if config_path else []), *(import_paths or ())):
                self.load_actions_from_path(Path(folder))

    @classmethod
    def over(cls, registry: ActionRegistry) -> Self:
        """A dispatcher for the actions of an existing registry."""
        made = cls(load_all_actions=False)
        made._registry = registry
        return made

    @property
    def registered_actions(self) -> Mapping[str, Any]:
        """Names to functions, classes and objects, as they were registered; `register_action` alone adds to them."""
        return MappingProxyType(
            {name: self._registry.require(name).target for name in self._registry.names()}
        )

    def load_actions_from_path(self, path: Path) -> None:
        """Register what `actions.py` and `actions/` in a folder define."""
        discover_in(path, self._registry)

    def register_action(
        self, action: Callable[..., Any], name: str | None = None, override: bool = True
    ) -> None:
        """Register an action; without `override` an existing one of that name stays."""
        known = str(name or getattr(action, "__name__", ""))
        if override or self._registry.get(known) is None:
            self._registry.register(action, name)

    def register_actions(self, actions_obj: Any, override: bool = True) -> None:
        """Register the methods of an object that are decorated as actions."""
        for attribute in dir(actions_obj):
            candidate = getattr(actions_obj, attribute)
            if hasattr(candidate, "action_meta"):
                self.register_action(candidate, candidate.action_meta["name"], override)

    def has_registered(self, name: str) -> bool:
        """Whether an action of this name is known, however it is spelt."""
        return self._registry.get(name) is not None

    def get_action(self, name: str) -> Any:
        """What was registered under a name; None where nothing was."""
        found = self._registry.get(name)
        return found.target if found else None

    def get_registered_actions(self) -> list[str]:
        """The names of all actions."""
        return self._registry.names()

    async def execute_action(self, action_name: str, params: Mapping[str, Any]) -> tuple[Any, str]:
        """What an action gives and `success`; None and `failed` where there is none or it raises.

        Raises:
            LLMCallException: the action asked a model, which failed.
        """
        action = self._registry.get(action_name)
        if action is None:
            return None, "failed"
        try:
            with ErrorBoundary(_failed, passing=(LLMCallException,)):
                return (await self._runner.run(action, params, {})).value, "success"
        except ActionError as error:
            log.warning("the action %s failed: %s", action_name, error)
            return None, "failed"


def _failed(error: Exception) -> ActionError:
    return ActionError(repr(error))
