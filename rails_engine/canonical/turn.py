"""The loop of a turn of Colang 1.0: an event goes in, a decision comes out, the decision becomes the next event.

Whatever happened last decides what happens next. An action that was started is run and answers with events; anything
else is given to the machine, whose decision is the next event; where it decides nothing the turn ends with `Listen`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, Protocol

from colang import Send
from colang.v1 import (
    CREATED,
    Creating,
    Creation,
    Instance,
    Standing,
    call_flow,
    create_all,
    end_flow,
    hear,
    resolved,
)
from rails_engine.canonical.refusals import not_found, refusal_of, told, unseen
from rails_engine.canonical.scene import SAID_BY, CanonicalScene, Shown
from rails_engine.errors import ActionNotFoundError, InvalidRequestError
from rails_engine.saved import is_marker
from rails_engine.scene import Outcome
from rails_engine.trace import ActionRun, Trace, failed
from rails_engine.umim import EventDict, Stamper
from rails_engine.values import value_class
from rails_engine.windows import StreamStoppedError

EVENT_BOUND: Final = 300
"""New events in one turn; flows that answer each other for ever end here."""

START: Final = "StartInternalSystemAction"
FINISHED: Final = "InternalSystemActionFinished"
LISTEN: Final = "Listen"

_NOTHING: Final[EventDict] = {"type": ""}
_LISTENING: Final[EventDict] = {"type": LISTEN}
_NOT_FAILED: Final[EventDict] = {}

SPOKEN: Final = ("BotIntent", "BotMessage")
"""What a rail that speaks brings about. Where these are its last words it ends with the first, before there is a text."""

_NOTED: Final = frozenset({"UtteranceUserActionFinished", "hide_prev_turn", *SPOKEN, LISTEN})
"""Events at which the turn does more than to write them down."""

_ANSWERED: Final = frozenset({START, "StartInputRail"})
"""Events that the turn itself may answer, before any flow does; exceptions are others."""

JUDGING: Final = "run_output_rails_in_parallel"
"""The action of the system flows that judges a message."""

WITHOUT_EVENTS = frozenset({"retrieve_relevant_chunks"})
"""Actions of the runtime that never answer with events; callers of the events interface see None there."""


class Runner(Protocol):
    """Carries out an action of Colang 1.0."""

    @property
    def systems(self) -> dict[str, bool]:
        """What `is_system` has said and will go on saying until something is registered; turns keep it here."""
        ...

    def is_system(self, name: str) -> bool:
        """True for actions of the runtime and for those registered as such."""
        ...

    def run(self, turn: CanonicalTurn, name: str, arguments: Mapping[str, Any]) -> Awaitable[Outcome]:
        """Carry it out.

        Raises:
            ActionNotFoundError: there is no such action; where that turns out only elsewhere, it is the outcome's
            failure. LLMCallException, ConfigurationError: a model could not be asked.
        """
        ...


@value_class
class Answer:
    """What an action that a flow is about to run has answered already."""

    name: str
    arguments: Mapping[str, Any]
    outcome: Outcome


class CanonicalTurn:
    """Runs one turn; `scene.events` grows, and the new events are returned.

    While `is_quiet`, what nobody asked to see is not written down: that variables were assigned, and how `create
    event` came to its event, which by itself is there. Unless it `is_recorded`, only what later turns quote is: the
    machine hears of the rest all the same, but as nobody else does, those events are not stamped.
    """

    def __init__(self, scene: CanonicalScene, runner: Runner, trace: Trace) -> None:
        self.scene = scene
        self.trace = trace
        self._runner = runner
        self._decision: Send | None = None
        self._before: Standing[Instance] | None = None
        self._stamper = Stamper()
        self.stamp = self._stamper.stamp
        self.is_quiet = False
        self.is_recorded = True
        self.answers: list[Answer] = []
        self._last: EventDict = scene.events[-1] if scene.events else _NOTHING
        self._seen = 0
        self._systems = runner.systems
        self._creates = self.is_system("create_event")

    def is_system(self, name: str) -> bool:
        """See `Runner.is_system`."""
        known = self._systems.get(name)
        if known is None:
            known = self._systems[name] = self._runner.is_system(name)
        return known

    def run(self, inputs: Sequence[EventDict]) -> Awaitable[list[EventDict]]:
        """Take the inputs in; what it gives is to be awaited, and goes on until there is nothing left to do.

        Raises:
            ColangRuntimeError: an expression failed, or a flow was called that does not exist.
            ColangBudgetError: a flow slides for ever.
            LLMCallException, ConfigurationError: a model could not be asked.
        """
        for event in inputs:
            self.see(event)
        return self.go_on()

    async def go_on(self) -> list[EventDict]:
        """Produce events until `Listen`; see `run`."""
        events = self.scene.events
        begun, self._seen = len(events), 0
        if self._last["type"] == LISTEN:
            self._last = _NOTHING
        while (start := self._until_action()) is not None:
            for event in await self._act(start):
                self.see(event)
        return events[begun:]

    def start_flow_by_reference(self, reference: str) -> None:
        """Decide what a rail does first, as if it had been called: `name`, `name $x=y` or `name(x=y)`."""
        self._decision = call_flow(self.scene.program, self.scene.machine, reference)

    def see(self, event: EventDict) -> None:
        """Let the machine look at one event."""
        self._last = event
        self._seen += 1
        scene, kind = self.scene, event["type"]
        if self.is_recorded:
            scene.events.append(event)
            self.trace.events.append(event)
        elif "uid" in event:
            scene.events.append(event)
        if kind in _NOTED or scene.shown is not None:
            self._note(kind, event)
        heard = self.trace.heard_beside
        if not heard or event.get("uid") not in heard:
            self._decision = hear(scene.program, scene.machine, kind, event)

    def _note(self, kind: str, event: EventDict) -> None:
        scene = self.scene
        if kind == "UtteranceUserActionFinished":
            self._before = scene.machine.standing
        elif kind == "hide_prev_turn" and self._before is not None:
            scene.machine.standing = self._before
        elif kind in SPOKEN:
            scene.machine.variables[SAID_BY] = scene.innermost
        elif scene.shown is not None:
            _show(scene.shown, event)

    def _until_action(self) -> EventDict | None:
        """Produce events up to the start of an action that takes time, which is returned, or up to `Listen`."""
        while (kind := self._last["type"]) != LISTEN:
            if self._seen > EVENT_BOUND:
                raise InvalidRequestError(f"Too many events: more than {EVENT_BOUND} in one turn")
            if kind == START and not _creates_event(self._last):
                return self._last
            answers: Sequence[EventDict] = ()
            if kind != FINISHED and (kind in _ANSWERED or kind.endswith("Exception")):
                answers = self._answers(self._last)
            if answers or not self.is_quiet:
                for event in answers or self._following():
                    self.see(event)
            elif (start := self._go_on_quietly()) is not None:
                return start
        return None

    def _answers(self, last: EventDict) -> list[EventDict]:
        """The events with which the turn itself answers the last one, if it does."""
        kind = last["type"]
        if kind == START:
            return self._create(last)
        if kind == "StartInputRail" and (refusal := unseen(self.scene, str(last.get("flow_id")))):
            return [self.stamp(dict(event)) for event in refusal]
        if kind.endswith("Exception"):
            # A rail has spoken by its exception: nothing that was under way goes on.
            self.scene.machine.forget_flows()
            return [self._written({"type": LISTEN}, is_marker=True)]
        return []

    def _following(self) -> list[EventDict]:
        """The events that follow from what the machine has decided."""
        pending, decision = self.scene.machine.pending, self._decision
        assigned = [self.stamp({"type": "ContextUpdate", "data": dict(pending)})] if pending else []
        events = [*assigned, self._event(decision)] if decision is not None else assigned
        return events or [self.stamp({"type": LISTEN})]

    def _go_on_quietly(self) -> EventDict | None:
        """See the next event after those that flows create; the start of an action that nobody reads is returned instead.

        The machine does not look at it either.
        """
        scene, decision = self.scene, self._decision
        scene.machine.pending.clear()
        if type(decision) is Creating and self._creates:
            decision = create_all(scene.program, scene.machine, decision, self._created)
        if self.is_recorded:
            self.see(self._next_of(decision))
            return None
        if decision is None:
            self._last = _LISTENING
            hear(scene.program, scene.machine, LISTEN, _LISTENING)
            return None
        arguments = decision.event.arguments
        name = arguments.get("action_name")
        if name is None or name == "create_event" or not self.is_system(name):
            self.see(self._next_of(decision))
            return None
        self._decision = None
        self._seen += 1
        return {**arguments, "is_system_action": True}

    def _next_of(self, decision: Send | None) -> EventDict:
        """The event of a decision."""
        if decision is None:
            return self.stamp({"type": LISTEN})
        if self._creates and decision.event.arguments.get("action_name") == "create_event":
            return self._created_quietly(decision)
        return self._event(decision)

    def _created(self, creation: Creation) -> EventDict | None:
        """An event at which there is nothing to do but to write it down; see `create_all`."""
        scene, kind = self.scene, creation.type
        if kind in _NOTED or kind.endswith("Exception") or self._seen > EVENT_BOUND:
            return None
        if kind == "StartInputRail" and not isinstance(scene.context.get("user_message"), str):
            return None
        self._seen += 1
        if not self.is_recorded and is_marker(kind):
            event = {"type": kind}
            creation.fill.into(event, scene.machine.variables)
            return event
        event = self._stamper.begun(kind)
        creation.fill.into(event, scene.machine.variables)
        scene.events.append(event)
        if self.is_recorded:
            self.trace.events.append(event)
        if scene.shown is not None:
            _show(scene.shown, event)
        return event

    def _event(self, command: Send) -> EventDict:
        name, arguments = command.event.name, command.event.arguments
        event = {"type": name, **arguments}
        if name == START:
            event["action_params"] = dict(arguments["action_params"])
            event["is_system_action"] = self.is_system(arguments["action_name"])
        whole = self._written(event)
        if command.flow_uid and self.is_recorded:
            self.trace.deciders[whole["uid"]] = command.flow_uid
        return whole

    def _written(self, event: EventDict, *, is_marker: bool = False) -> EventDict:
        """An event stamped, and so to be written down; as it is where nobody will read it."""
        unread = is_marker or event.get("is_system_action")
        return self.stamp(event) if self.is_recorded or not unread else event

    # --- actions ---------------------------------------------------------------------------------------------------

    async def _act(self, start: EventDict) -> list[EventDict]:
        """Run an action: the events that are to be seen next."""
        name, params, key = start["action_name"], start.get("action_params"), start.get("action_result_key")
        self.scene.notes.result = key
        arguments = resolved(params, self.scene.machine.variables) if params else {}
        self._set_about(name)
        outcome, failure = await self._outcome(name, arguments)
        events = [self.stamp(event) for event in outcome.events] if outcome.events else []
        updates = {**outcome.context_updates, key: outcome.value} if key else outcome.context_updates
        return self._acted(start, updates, _finished(start, outcome.value, failure, events), events)

    def _acted(
        self, start: EventDict, updates: Mapping[str, Any], finished: EventDict, events: list[EventDict]
    ) -> list[EventDict]:
        """What is to be seen of an action that has ended; of what nobody reads the machine alone hears."""
        if self.is_recorded:
            told = [self.stamp({"type": "ContextUpdate", "data": dict(updates)})] if updates else []
            return [*told, self.stamp(finished), *events]
        machine = self.scene.machine
        if updates:
            machine.variables.update(updates)
            machine.pending.clear()
        if not start.get("is_system_action"):
            return [self.stamp(finished), *events]
        self._hear_alone(finished)
        return events

    def _hear_alone(self, finished: EventDict) -> None:
        """Have the machine hear that an action has ended, and nobody else."""
        self._last = finished
        self._seen += 1
        self._decision = hear(self.scene.program, self.scene.machine, FINISHED, finished)

    def _set_about(self, name: str) -> None:
        """A rail that acts after it has spoken has not refused; that its message is judged is no act of its own."""
        variables = self.scene.machine.variables
        if variables.get(SAID_BY) and name != JUDGING and variables[SAID_BY] == self.scene.innermost:
            variables[SAID_BY] = None

    def _created_quietly(self, decision: Send) -> EventDict:
        """The event that a flow creates; the machine alone hears that creating it is over."""
        event = self._made(decision.event.arguments["action_params"])
        hear(self.scene.program, self.scene.machine, CREATED["type"], CREATED)
        return event

    def _made(self, params: Mapping[str, Any]) -> EventDict:
        """The event that the parameters of `create_event` describe."""
        given = resolved(params["event"], self.scene.context)
        failed = self.scene.notes.failed_rail
        if failed is not None and failed == self.scene.rail and str(given["_type"]).endswith("Exception"):
            given["reason"] = "error"
        return self.stamp({"type": given.pop("_type"), **given})

    def _create(self, start: EventDict) -> list[EventDict]:
        """The event that a flow creates."""
        params = start["action_params"]
        event = self._made(params)
        record = ActionRun("create_event", params, time.time())
        record.finished_at = record.started_at
        self.trace.actions.append(record)
        return [self.stamp(_finished(start, None, None, [event])), event]

    def carry_out(self, name: str, arguments: Mapping[str, Any]) -> Awaitable[Outcome]:
        """Run an action, and keep a record of it where somebody reads the turn.

        Raises:
            as `Runner.run`.
        """
        if self.is_recorded:
            return self._recorded(ActionRun(name, arguments, time.time()))
        return self._runner.run(self, name, arguments)

    async def _recorded(self, record: ActionRun) -> Outcome:
        """Run the action of a record, which is told of the model calls that it makes and of when it ended."""
        scene = self.scene
        self.trace.actions.append(record)
        try:
            self.scene = _with_services(scene, scene.services.scoped(record.llm_calls.append))
            outcome = await self._runner.run(self, record.name, record.arguments)
        finally:
            self.scene = scene
            record.finished_at = time.time()
        record.value, record.failure = outcome.value, outcome.failure
        return outcome

    def _known(self, name: str, arguments: Mapping[str, Any]) -> Outcome | None:
        """What the action has answered already, where it has."""
        if not self.answers:
            return None
        known = self.answers.pop(0)
        if (known.name, known.arguments) == (name, arguments):
            return known.outcome
        self.answers.clear()
        return None

    async def _outcome(self, name: str, arguments: Mapping[str, Any]) -> tuple[Outcome, str | None]:
        """What the action gave, and why it failed if it did; a failure is said and ends the turn."""
        scene = self.scene
        try:
            outcome = self._known(name, arguments) or await self.carry_out(name, arguments)
            if failed(outcome.value, outcome.failure):
                self.trace.has_failed = True
            if scene.shown is not None:
                await scene.shown.flush()
        except ActionNotFoundError:
            return not_found(name)
        except StreamStoppedError as stop:
            return Outcome(None, events=stop.ruling.events), None
        if outcome.failure is not None and isinstance(outcome.failure, ActionNotFoundError):
            return not_found(name)
        if outcome.failed_rail and outcome.failed_rail.flows:
            scene.notes.failed_rail = outcome.failed_rail
            if outcome.passes:
                end_flow(scene.machine, outcome.failed_rail.flows[0])
        if outcome.failure is None:
            return outcome, None
        refusal = refusal_of(scene, outcome.failed_rail)
        return Outcome(None, events=refusal, failure=outcome.failure), told(outcome.failure)


def _show(shown: Shown, event: EventDict) -> None:
    if event["type"] == "StartUtteranceBotAction":
        shown.said(str(event.get("script", "")))
    elif event["type"] == "StartToolCallBotAction":
        shown.called(event.get("tool_calls") or ())


def _creates_event(start: EventDict) -> bool:
    """Whether this is the runtime's own `create_event`; so many are that they take the short way."""
    return start["action_name"] == "create_event" and bool(start.get("is_system_action"))


def _with_services(scene: CanonicalScene, services: Any) -> CanonicalScene:
    return CanonicalScene(
        scene.program,
        scene.machine,
        scene.events,
        services,
        scene.options,
        scene.shown,
        scene.state,
        scene.notes,
    )


def _finished(start: EventDict, value: Any, failure: str | None, events: list[EventDict]) -> EventDict:
    name = start["action_name"]
    failed = {"failure_reason": "failed"} if failure else _NOT_FAILED
    return {
        "type": FINISHED,
        "action_uid": start.get("action_uid"),
        "action_name": name,
        "action_params": start.get("action_params") or {},
        "action_result_key": start.get("action_result_key"),
        "status": "failed" if failure else "success",
        "is_success": not failure,
        **failed,
        "return_value": value,
        "events": None if name in WITHOUT_EVENTS else events,
        "is_system_action": start.get("is_system_action", False),
    }
