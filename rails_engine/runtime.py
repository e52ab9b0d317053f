"""`rails.runtime`, as code written for older versions reaches the actions, the flows and the events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rails_engine.actions import ActionDispatcher
from rails_engine.assembly import Assembly
from rails_engine.prompts import LLMTaskManager

Watcher = Callable[[Any], object]


class Owner(Protocol):
    """Whose runtime it is."""

    @property
    def flows(self) -> Mapping[str, Any]:
        """The flows by name."""

    @property
    def watchers(self) -> list[Watcher]:
        """Functions that are told of every event."""

    @property
    def generate_events_async(self) -> Callable[..., Any]:
        """See `LLMRails.generate_events_async`."""

    @property
    def process_events_async(self) -> Callable[..., Any]:
        """See `LLMRails.process_events_async`."""


class Runtime:
    """A view of the actions, prompts and flows of one `LLMRails`.

    `disable_async_execution`: `process_events` waits for actions that run in the background, as with `blocking`.
    """

    max_events = 500

    def __init__(self, parts: Assembly, owner: Owner) -> None:
        self._parts = parts
        self._owner = owner
        self.disable_async_execution = False

    @property
    def config(self) -> Any:
        """The `RailsConfig` that the runtime was made of."""
        return self._parts.resources.config

    @property
    def flow_configs(self) -> Mapping[str, Any]:
        """The flows by name, those of the library and of the system among them."""
        return self._owner.flows

    @property
    def watchers(self) -> list[Watcher]:
        """Functions that are told of every event of a call once it has ended; append yours."""
        return self._owner.watchers

    @property
    def generate_events(self) -> Callable[..., Any]:
        """As `LLMRails.generate_events_async`."""
        return self._owner.generate_events_async

    @property
    def process_events(self) -> Callable[..., Any]:
        """As `LLMRails.process_events_async`."""
        return self._owner.process_events_async

    @property
    def action_dispatcher(self) -> ActionDispatcher:
        """The actions, to look up, register and run."""
        return ActionDispatcher.over(self._parts.registry)

    @property
    def registered_actions(self) -> Mapping[str, Any]:
        """Names to functions, classes and objects, as they were registered."""
        return self.action_dispatcher.registered_actions

    @property
    def registered_action_params(self) -> Mapping[str, Any]:
        """What is handed to parameters of these names."""
        return self._parts.params

    @property
    def llm_task_manager(self) -> LLMTaskManager:
        """The prompts, as users' actions know them."""
        return self._parts.resources.task_manager

    def register_action(
        self, action: Callable[..., Any], name: str | None = None, override: bool = True
    ) -> None:
        """Register an action; without `override` an existing one of that name stays."""
        self.action_dispatcher.register_action(action, name, override)

    def register_actions(self, actions: Any, override: bool = True) -> None:
        """Register the methods of an object that are decorated as actions."""
        self.action_dispatcher.register_actions(actions, override)

    def register_action_param(self, name: str, value: Any) -> None:
        """As `LLMRails.register_action_param`."""
        self._parts.set_param(name, value)
