"""Actions that the configuration and the caller registered, and what is handed to their parameters by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Protocol, TypeAlias

from rails_engine.actions import Action, ActionOutput, ActionRegistry, ActionRunner, ActionsServer
from rails_engine.config.schema import ErrorPolicy
from rails_engine.errors import ActionTimeoutError
from rails_engine.library import (
    ACTIONS,
    ALLOWED,
    FAILED,
    OF_LIBRARY,
    PERMITTING,
    Permission,
    is_read_by,
    policy_of,
    require_answer,
)
from rails_engine.llm import Observed, public_model
from rails_engine.scene import Outcome, Plan, RunningRail, failed_action
from rails_engine.services import Resources, TurnServices
from rails_engine.umim import EventDict

CONTEXT_PREFIX = "__context__"

log = logging.getLogger(__name__)


class Surroundings(Protocol):
    """A turn of either dialect, as far as parameters are taken from it."""

    @property
    def context(self) -> Mapping[str, Any]:
        """The conversation's variables."""

    @property
    def events(self) -> list[EventDict]:
        """The events so far, the latest last."""

    @property
    def rail(self) -> RunningRail | None:
        """The rail that the action runs for; None where it runs for none."""

    @property
    def state(self) -> Any:
        """The conversation, as an action may be handed it."""

    @property
    def services(self) -> Any:
        """The models and the knowledge base; a `TurnServices` outside of tests."""


Meaning: TypeAlias = Callable[[Surroundings, Resources], Any]
"""What a parameter of some name is handed."""


class RegisteredActions:
    """Finds an action by its name in a flow and runs it with the parameters that it asks for."""

    def __init__(self, registry: ActionRegistry, params: Mapping[str, Any], resources: Resources) -> None:
        self._registry = registry
        self._params = params
        self._resources = resources
        self._runner = ActionRunner()
        url = resources.config.actions_server_url
        self._server = ActionsServer(url) if url else None
        self._plans: dict[str, Plan | None] = {}
        self._reading = False
        self._version = -1

    def find(self, name: str) -> Plan | None:
        """See `Registered.find`; looked up once, until something is registered."""
        if self._version != self._registry.version:
            self._look_again()
        try:
            return self._plans[name]
        except KeyError:
            plan = self._plans[name] = self._plan(name)
            return plan

    @property
    def version(self) -> int:
        """Changes whenever an action is registered."""
        return self._registry.version

    def reads_events(self) -> bool:
        """True if an action that is none of the library's is handed the events of the turn."""
        if self._version != self._registry.version:
            self._look_again()
        return self._reading

    def _look_again(self) -> None:
        """Forget what was looked up: something has been registered since."""
        self._plans, self._version = {}, self._registry.version
        known = (self._registry.require(name) for name in self._registry.names())
        self._reading = any(map(_reads_events, known))

    def elsewhere(self, name: str) -> Plan | None:
        """How to run an action that nobody registered here, where there is an actions server to ask."""
        return self._plan_of(name, self._server.action(name)) if self._server else None

    async def close(self) -> None:
        """Close the connections to the actions server."""
        if self._server is not None:
            await self._server.close()

    def _plan(self, name: str) -> Plan | None:
        action = self._registry.get(name)
        if action is None:
            return None
        if self._server is not None and not action.is_system_action:
            # What is registered here says that the name is an action; with an actions server, that one runs it.
            action = self._server.action(action.name, action)
        return self._plan_of(name, action)

    def _plan_of(self, name: str, action: Action) -> Plan:
        carrying = _Carrying(name, action, self._params, self._resources, self._runner)
        return Plan(name, carrying.run, action.execute_async, action.is_system_action)


class _Carrying:
    """Carries out one action; what its parameters mean is found out when it first runs."""

    def __init__(
        self,
        name: str,
        action: Action,
        params: Mapping[str, Any],
        resources: Resources,
        runner: ActionRunner,
    ) -> None:
        self._name = name
        self._permits = action.name in PERMITTING
        self._action = action
        self._params = params
        self._resources = resources
        self._runner = runner

    async def run(self, scene: Surroundings, arguments: Mapping[str, Any]) -> Outcome:
        """Run the action; where it runs for a rail and cannot judge, the rail's policy decides.

        Raises:
            as `failed_action`, where it runs for no rail.
        """
        action, policy = self._action, None
        try:
            policy = policy_of(action.name, arguments, scene.rail, self._resources.config.rails)
            limit_s = policy.timeout_s if policy is not None else None
            output = await self._runner.run(action, arguments, self._injected(scene), limit_s)
            if output.verdict is None and policy is not None:
                require_answer(output.value, of_library=self._is_read_by_library)
        except Exception as error:  # noqa: BLE001 -- whatever a rail raises, its policy says what becomes of the text
            if policy is None:
                return failed_action(self._name, error)
            return _failed(action, scene.rail or RunningRail("", ()), policy, error)
        if output.verdict is None:
            return Outcome(output.value, output.context_updates, output.events)
        if output.verdict.failed and policy is not None:
            return _undecided(action, scene.rail or RunningRail("", ()), policy, output)
        value = Permission(output.value) if self._permits else output.value
        return Outcome(value, output.context_updates, output.events)

    @cached_property
    def _is_read_by_library(self) -> bool:
        """Whether flows of the library alone read what the action answers."""
        name = self._action.name
        return name in OF_LIBRARY and not is_read_by(self._resources.config, name)

    @cached_property
    def _wanted(self) -> tuple[str, ...]:
        """The parameters that the action may be handed by name."""
        names = self._action.parameters
        return (*names, f"{self._action.name}_llm") if "llm" in names else names

    @cached_property
    def _meant(self) -> tuple[tuple[str, Meaning | None], ...]:
        """Those of them whose names may have a meaning, and what always has one."""
        return tuple(
            (name, _MEANINGS.get(name))
            for name in self._wanted
            if name in _MEANINGS or name.startswith(CONTEXT_PREFIX) or name.endswith("_llm")
        )

    def _injected(self, scene: Surroundings) -> dict[str, Any]:
        """The values for those parameters whose names have a meaning."""
        params = self._params
        found = {name: params[name] for name in self._wanted if name in params} if params else {}
        for name, meaning in self._meant:
            if name in found:
                continue
            if meaning is not None:
                found[name] = meaning(scene, self._resources)
            elif name.startswith(CONTEXT_PREFIX):
                found[name] = scene.context.get(name.removeprefix(CONTEXT_PREFIX))
            elif name.removesuffix("_llm") in self._resources.models:
                found[name] = _model(scene, self._resources, name.removesuffix("_llm"))
        return found


def _reads_events(action: Action) -> bool:
    """Whether an action is handed all events; those of the library that are look at what was said alone."""
    if any(action.target is each for each in ACTIONS):
        return False
    try:
        return "events" in action.parameters
    except (AttributeError, TypeError, ValueError):
        return True  # what it takes will be said where it runs


def _failed(action: Action, rail: RunningRail, policy: ErrorPolicy, error: Exception) -> Outcome:
    """A rail's action raised."""
    of_library = action.name in OF_LIBRARY
    meaning = "lets pass" if policy.allows_on_error else "blocks"
    trace = None if isinstance(error, ActionTimeoutError) else error
    told = f"{type(error).__name__}: {error}"
    log.warning("the rail action %s failed and %s: %s", action.name, meaning, told, exc_info=trace)
    if policy.allows_on_error:
        return Outcome(ALLOWED) if of_library else Outcome(failed_rail=rail, passes=True)
    return Outcome(FAILED if of_library else None, failure=error, failed_rail=rail)


def _undecided(action: Action, rail: RunningRail, policy: ErrorPolicy, output: ActionOutput) -> Outcome:
    """A rail's action answered that it could not judge."""
    meaning = "lets pass" if policy.allows_on_error else "blocks"
    reason = output.verdict.reason if output.verdict else None
    log.warning("the rail action %s could not judge and %s: %s", action.name, meaning, reason)
    if policy.allows_on_error:
        return Outcome(ALLOWED, output.context_updates, output.events)
    return Outcome(output.value, output.context_updates, output.events, failed_rail=rail)


def _model(scene: Surroundings, resources: Resources, kind: str) -> Any:
    """The model as users' code knows it; its calls go into the record of the turn."""
    model = resources.models.get(kind)
    if model is None:
        return None
    services = scene.services
    return public_model(Observed(model, services.sink) if isinstance(services, TurnServices) else model)


_MEANINGS: Mapping[str, Meaning] = {
    "context": lambda scene, _resources: dict(scene.context),
    "events": lambda scene, _resources: [dict(event) for event in scene.events],
    "state": lambda scene, _resources: scene.state,
    "config": lambda _scene, resources: resources.config,
    "llm": lambda scene, resources: _model(scene, resources, "main"),
    "llms": lambda scene, resources: {kind: _model(scene, resources, kind) for kind in resources.models},
    "llm_task_manager": lambda _scene, resources: resources.task_manager,
    "model_caches": lambda _scene, _resources: {},
    "http_client": lambda _scene, resources: resources.http,
    "kb": lambda _scene, resources: resources.knowledge.base,
}
"""Parameter name to what is handed to it."""
