"""Actions that the configuration and the caller registered, and what is handed to their parameters by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.actions import Action, ActionRegistry, ActionResult
from rails_engine.llm import Models, Observed, public_model
from rails_engine.scene import Outcome, Plan, Scene
from rails_engine.services import Resources, TurnServices

CONTEXT_PREFIX = "__context__"


class RegisteredActions:
    """Finds an action by its name in a flow and runs it with the parameters that it asks for."""

    def __init__(self, registry: ActionRegistry, params: Mapping[str, Any], resources: Resources) -> None:
        self._registry = registry
        self._params = params
        self._resources = resources

    def find(self, name: str) -> Plan | None:
        """See `Registered.find`."""
        action = self._registry.get(name)
        if action is None:
            return None

        async def effect(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
            return outcome_of(await action.run(arguments, self._injected(action, scene)))

        return Plan(name, effect, action.execute_async)

    def _injected(self, action: Action, scene: Scene) -> dict[str, Any]:
        """The values for those parameters that have a meaning by their name."""
        return {name: self._value(name, scene) for name in action.parameters if self._knows(name)}

    def _knows(self, name: str) -> bool:
        return (
            name in _FROM_SCENE
            or name in _FROM_RESOURCES
            or name in self._params
            or name.startswith(CONTEXT_PREFIX)
            or self._model_type(name) is not None
        )

    def _value(self, name: str, scene: Scene) -> Any:
        if name in self._params:
            return self._params[name]
        if name in _FROM_SCENE:
            return _FROM_SCENE[name](scene)
        if name.startswith(CONTEXT_PREFIX):
            return scene.context.get(name.removeprefix(CONTEXT_PREFIX))
        kind = self._model_type(name)
        return _model(scene, kind) if kind else _FROM_RESOURCES[name](self._resources)

    def _model_type(self, name: str) -> str | None:
        """`llm` is the main model, `<type>_llm` the model of that type."""
        kind = "main" if name == "llm" else name.removesuffix("_llm") if name.endswith("_llm") else ""
        return kind if kind in self._resources.models else None


def _model(scene: Scene, kind: str) -> Any:
    services = scene.services
    if not isinstance(services, TurnServices):
        return None
    return public_model(Observed(services.resources.models[kind], services.sink, None))


def outcome_of(result: Any) -> Outcome:
    """What an action returned, as an outcome."""
    if isinstance(result, ActionResult):
        return Outcome(result.return_value, result.context_updates or {}, tuple(result.events or ()))
    return Outcome(result)


def _models(resources: Resources) -> dict[str, Any]:
    models: Models = resources.models
    return {kind: public_model(model) for kind, model in models.items()}


_FROM_SCENE = {
    "context": lambda scene: dict(scene.context),
    "events": lambda scene: list(scene.events),
    "state": lambda scene: scene.state,
}

_FROM_RESOURCES = {
    "config": lambda resources: resources.config,
    "llm": lambda _resources: None,
    "llms": _models,
    "llm_task_manager": lambda resources: resources.prompts,
    "kb": lambda resources: resources.knowledge.base,
}
