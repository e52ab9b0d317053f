"""Carries out the actions of Colang 1.0: the runtime's own, rails side by side, and those that were registered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from rails_engine.canonical.actions import CanonicalActions
from rails_engine.canonical.scene import SAID_BY, TRIGGERED, CanonicalScene
from rails_engine.canonical.turn import CanonicalTurn
from rails_engine.config import asks_elsewhere
from rails_engine.errors import ActionNotFoundError
from rails_engine.naming import snake_to_camelcase
from rails_engine.parallel_rails import ParallelRails
from rails_engine.registered import RegisteredActions
from rails_engine.scene import Outcome, Plan, guarded
from rails_engine.trace import Trace
from rails_engine.umim import EventDict

Own: TypeAlias = Callable[[CanonicalScene, Mapping[str, Any]], Awaitable[Outcome]]


SPEAKING: Final = "generate_bot_message"

SYSTEMS_KEPT = 1024
"""Names of actions of which is remembered whether they are the system's; generated flows may bring any name."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rail did when it ran beside others: its events, and what it assigned."""

    flow: str
    stopped: bool
    events: list[EventDict]
    variables: Mapping[str, Any]


class CanonicalRunner:
    """Implements `Runner`."""

    def __init__(self, actions: CanonicalActions, registered: RegisteredActions) -> None:
        self._registered = registered
        self._answers = actions
        own: Mapping[str, Own] = {
            "create_event": actions.create_event,
            "generate_user_intent": actions.generate_user_intent,
            "generate_next_steps": actions.generate_next_steps,
            "generate_bot_message": actions.generate_bot_message,
            "generate_value": actions.generate_value,
            "retrieve_relevant_chunks": actions.retrieve_relevant_chunks,
        }
        self._systems: dict[str, bool] = {}
        self._version = -1
        self._own = {name: Plan(name, guarded(name, step), is_system=True) for name, step in own.items()}
        self._parallel: Mapping[str, str] = {
            "run_input_rails_in_parallel": "input",
            "run_output_rails_in_parallel": "output",
            "run_tool_output_rails_in_parallel": "tool_output",
            "run_tool_input_rails_in_parallel": "tool_input",
        }

    @property
    def systems(self) -> dict[str, bool]:
        """See `Runner.systems`."""
        if self._version != self._registered.version or len(self._systems) > SYSTEMS_KEPT:
            self._systems, self._version = {}, self._registered.version
        return self._systems

    def is_system(self, name: str) -> bool:
        """See `Runner.is_system`."""
        plan = self._registered.find(name)
        if plan is not None:
            return plan.is_system
        return name in self._own or name in self._parallel

    def is_own(self, name: str) -> bool:
        """True if the runtime itself takes this step: nobody registered an action of the name, or answers in its place."""
        return name in self._own and self._registered.find(name) is None

    def reads_events(self) -> bool:
        """True if something of the caller's may look at all that happened in a turn."""
        return self._answers.reads_events or self._registered.reads_events()

    def run(self, turn: CanonicalTurn, name: str, arguments: Mapping[str, Any]) -> Awaitable[Outcome]:
        """See `Runner.run`."""
        plan = self._registered.find(name) or self._own.get(name)
        if plan is None:
            if name in self._parallel:
                return self._side_by_side(turn, self._parallel[name])
            plan = self._elsewhere(name)
        if name == SPEAKING and plan is self._own[SPEAKING]:
            return self._judged(turn, plan, arguments)
        return plan.run(turn.scene, arguments)

    def _elsewhere(self, name: str) -> Plan:
        plan = self._registered.elsewhere(name)
        if plan is None:
            raise ActionNotFoundError(name)
        return plan

    async def _judged(self, turn: CanonicalTurn, plan: Plan, arguments: Mapping[str, Any]) -> Outcome:
        """What the bot says; a predefined message with somebody else's words in it as the output rails leave it.

        They judge it beside the flow that says it: what stands behind it in that flow is said, too.
        """
        outcome = await plan.run(turn.scene, arguments)
        notes = turn.scene.notes
        if not notes.is_filled:
            return outcome
        notes.is_filled = False
        *before, message = outcome.events
        updates: dict[str, Any] = {"bot_message": message["text"]}
        done: list[EventDict] = []
        for flow in turn.scene.context.get("_output_flows") or ():
            verdict = await self.alone(turn, "output", flow, updates)
            done += verdict.events
            if verdict.stopped:
                return Outcome(None, {"triggered_output_rail": flow}, tuple(done))
            updates |= verdict.variables
        events = (*before, *done, {**message, "text": updates["bot_message"]})
        return replace(
            outcome,
            context_updates={**outcome.context_updates, **updates, "skip_output_rails": True},
            events=events,
        )

    # --- rails side by side ----------------------------------------------------------------------------------------

    async def _side_by_side(self, turn: CanonicalTurn, direction: str) -> Outcome:
        """Run all rails of a direction at once; the first that stops ends the others and the turn."""
        flows = list(turn.scene.context.get(f"_{direction}_flows") or ())
        name = _WRITTEN[direction]
        given = turn.scene.machine.variables.get(name)
        rails: ParallelRails[str, Verdict] = ParallelRails(
            ask=lambda flow, current: self.alone(turn, direction, flow, {name: current}),
            refuses=lambda verdict: verdict.stopped,
            left=lambda verdict, current: verdict.variables.get(name, current),
            is_slow=asks_elsewhere,
        )
        done, _ = await rails.judged(flows, given)
        events = tuple(event for verdict in done for event in verdict.events)
        updates = {
            key: value for verdict in done if not verdict.stopped for key, value in verdict.variables.items()
        }
        if done and done[-1].stopped:
            updates[f"triggered_{direction}_rail"] = done[-1].flow
        return Outcome(context_updates=updates, events=events)

    async def alone(
        self, turn: CanonicalTurn, direction: str, flow: str, given: Mapping[str, Any] = MappingProxyType({})
    ) -> Verdict:
        """Run one rail on a fork of the conversation, with some variables as `given`.

        Raises:
            as `CanonicalTurn.run`.
        """
        machine = turn.scene.machine.fork()
        machine.variables.update(given)
        before = dict(machine.variables)
        machine.forget_flows()
        machine.variables[f"triggered_{direction}_rail"] = flow
        kind = snake_to_camelcase(direction)
        begin = turn.stamp({"type": f"Start{kind}Rail", "flow_id": flow})
        scene = replace(turn.scene, machine=machine, events=[*turn.scene.events, begin], shown=None)
        trace = Trace()
        rail = CanonicalTurn(scene, self, trace)
        rail.start_flow_by_reference(flow)
        new = (await rail.go_on())[:-1]
        turn.trace.beside[begin["uid"]] = trace.actions
        turn.trace.deciders.update(trace.deciders)
        turn.trace.has_failed |= trace.has_failed
        stopped = any(_ends_turn(event) for event in new)
        if not stopped and direction != "input" and machine.variables.get(SAID_BY) == flow:
            new.append(turn.stamp({"type": "BotIntent", "intent": "stop"}))
            stopped = True
        if not stopped:
            turn.trace.heard_beside |= {event["uid"] for event in new}
        end = turn.stamp({"type": f"{kind}RailFinished", "flow_id": flow})
        events = [begin, *new] if stopped else [begin, *new, end]
        changed = {
            name: value
            for name, value in machine.variables.items()
            if name not in _PRIVATE and before.get(name) is not value
        }
        return Verdict(flow, stopped, events, changed)


_WRITTEN: Mapping[str, str] = MappingProxyType(
    {
        "input": "user_message",
        "output": "bot_message",
        "tool_output": "tool_calls",
        "tool_input": "tool_messages",
    }
)
_PRIVATE = frozenset({"event", SAID_BY, *TRIGGERED})


def _ends_turn(event: EventDict) -> bool:
    return event["type"].endswith("Exception") or (
        event["type"] == "BotIntent" and event.get("intent") == "stop"
    )
