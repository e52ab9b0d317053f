"""The machine of Colang 1.0: flows offer what to do next, and the best offer is the decision.

One event is one step. Flows under way look at it first, then flows that it starts; every flow that reaches an acting
element offers it, and an offer is accepted if nothing better is recorded. Flows that the event did not fit are
interrupted by the one that decided, or dropped. When a flow completes, those that it interrupted go on.
Specification of Colang 1.0, section 12; the letters A to E below are its.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from colang.errors import ColangBudgetError, ColangRuntimeError
from colang.events import Command, Event, Send
from colang.v1.definitions import flow_of_body
from colang.v1.elements import (
    ANYTHING,
    STOP,
    Acting,
    Branch,
    CallFlow,
    Element,
    FlowCode,
    Jump,
    JumpUnless,
    RunAction,
    SetVariable,
    Utter,
    WaitBot,
    WaitEvent,
    WaitUser,
)
from colang.v1.program import Program
from colang.v1.scope import Variables

KEPT_WEIGHT: Final = 0.9
"""How an offer counts that a flow makes again without having moved."""

SLIDE_BOUND: Final = 20_000
"""Elements that one step may execute."""

INSTANCE_BOUND: Final = 200
"""Flows under way: beyond it the oldest of those that may run several times at once are forgotten."""

_LOOKED_AT = frozenset({"UserIntent", "BotIntent", "InternalSystemActionFinished"})
"""Events that every flow under way looks at."""


_ARGUMENT = re.compile(r"""\$?(?P<name>\w+)\s*=\s*(?P<text>"[^"]*"|'[^']*'|[^\s,()]+)""")
_NAME_END = re.compile(r"\s+\$|\(")


class Status(Enum):
    ACTIVE = "active"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class Instance:
    """A flow under way: `head` is the element that it stands at."""

    uid: int
    flow: str
    head: int
    status: Status = Status.ACTIVE
    interrupted_by: int | None = None

    def at(self, head: int) -> Instance:
        """The same instance, further on."""
        return Instance(self.uid, self.flow, head, self.status, self.interrupted_by)

    def turned(self, status: Status, by: int | None = None) -> Instance:
        """The same instance with another status, interrupted by the instance `by`."""
        return Instance(self.uid, self.flow, self.head, status, by)


@dataclass(slots=True)
class State:
    """A conversation: flows under way, oldest first, and the variables, which all flows share."""

    instances: list[Instance] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    counter: int = 0
    pending: dict[str, Any] = field(default_factory=dict)
    """Variables that were assigned and that no `ContextUpdate` has told yet."""
    added: dict[str, FlowCode] = field(default_factory=dict)
    """Flows that were generated in this conversation."""

    def fork(self) -> State:
        """A state that can be stepped without changing this one."""
        pending = dict(self.pending)
        return State(list(self.instances), dict(self.variables), self.counter, pending, dict(self.added))


@dataclass(slots=True)
class _Offer:
    instance: int
    flow: FlowCode
    element: Acting
    weight: float
    first_step: bool


@dataclass(slots=True)
class _Step:
    """What one step works with."""

    program: Program
    state: State
    event: Event
    next: list[Instance] = field(default_factory=list)
    aborted: list[int] = field(default_factory=list)
    """Instances aborted in this step."""
    interrupted: list[int] = field(default_factory=list)
    extension_done: bool = False
    decision: _Offer | None = None
    executed: int = 0

    def code(self, name: str) -> FlowCode:
        code = self.program.flows.get(name) or self.state.added.get(name)
        if code is None:
            raise ColangRuntimeError(f"there is no flow `{name}`")
        return code


def step(program: Program, state: State, event: Event) -> list[Command]:
    """Advance by one event, and decide.

    The decision is a `ContextUpdate` with what was assigned, then at most one `BotIntent` or
    `StartInternalSystemAction`.

    Raises:
        ColangSyntaxError: the body of a flow to start is none.
        ColangRuntimeError: an expression failed, or `do` names no flow; the state is then of no use.
        ColangBudgetError: a flow slides for ever.
    """
    if event.name == "StartInternalSystemAction":
        return []
    if event.name == "ContextUpdate":
        state.variables.update(event.arguments.get("data") or {})
        state.pending.clear()
        return []
    _remember(state, event)
    if event.name == "start_flow" and event.arguments.get("flow_body"):
        name, body = str(event.arguments.get("flow_id")), str(event.arguments["flow_body"])
        return start_flow(program, state, flow_of_body(name, body))
    if event.name == "BotIntent" and event.arguments.get("intent") == STOP:
        state.instances.clear()
        return []
    work = _Step(program, state, event)
    _existing(work)
    _starting(work)
    _extensions(work)
    _interrupt(work)
    _resume(work)
    return _settled(work)


def start_flow(program: Program, state: State, code: FlowCode) -> list[Command]:
    """Add a generated flow and start it at its first element.

    Raises:
        as `step`.
    """
    state.added[code.name] = code
    work = _Step(program, state, Event("start_flow", {"flow_id": code.name}))
    work.next = list(state.instances)
    _begin(work, code, 0, first_step=True)
    _resume(work)
    return _settled(work)


def call_flow(program: Program, state: State, reference: str) -> list[Command]:
    """Start a flow by reference, as `do` does.

    Raises:
        as `step`.
    """
    work = _Step(program, state, Event("start_flow", {"flow_id": reference}))
    work.next = list(state.instances)
    _begin(work, work.code(_with_arguments(work, reference)), 0, first_step=True)
    _resume(work)
    return _settled(work)


def end_flow(state: State, name: str) -> None:
    """Forget a flow under way and the flows that it called; with the next step its caller goes on."""
    ended = {each.uid for each in state.instances if each.flow == name}
    for each in state.instances:  # a called flow stands behind its caller
        if each.uid in ended and each.interrupted_by is not None:
            ended.add(each.interrupted_by)
    state.instances = [each for each in state.instances if each.uid not in ended]


def _remember(state: State, event: Event) -> None:
    """The variables that follow from events."""
    if event.name == "UserMessage":
        state.variables["last_user_message"] = event.arguments.get("text")
    elif event.name == "StartUtteranceBotAction":
        state.variables["last_bot_message"] = event.arguments.get("script")
    whole = "type" in event.arguments
    state.variables["event"] = event.arguments if whole else {"type": event.name, **event.arguments}


# --- A: flows under way --------------------------------------------------------------------------------------------


def _existing(work: _Step) -> None:
    for instance in work.state.instances:
        if instance.status is Status.INTERRUPTED:
            work.next.append(instance)
        else:
            _advance(work, instance)


def _advance(work: _Step, instance: Instance) -> None:
    code = work.code(instance.flow)
    element = _element(code, instance.head)
    own = work.event.name in code.creates and isinstance(element, WaitEvent | Branch)
    if work.event.name not in _LOOKED_AT and not own:
        work.next.append(instance)
        if isinstance(element, Utter | RunAction):
            _offer(work, _Offer(instance.uid, code, element, KEPT_WEIGHT, first_step=False))
        return
    head = _matching_head(work, code, instance.head)
    if head is not None:
        _continue(work, instance.at(head + 1), code, first_step=False)
    elif isinstance(element, Utter | RunAction) or not code.interruptible:
        work.aborted.append(instance.uid)
        work.next.append(instance.turned(Status.ABORTED))
    else:
        work.interrupted.append(instance.uid)
        work.next.append(instance.turned(Status.INTERRUPTED))


# --- B: flows that begin -------------------------------------------------------------------------------------------


def _starting(work: _Step) -> None:
    present = {each.flow for each in work.next}
    for code in work.program.beginning_with(work.event.name, work.event.arguments):
        if code.allow_multiple or code.name not in present:
            slid = _slide(work, code, 0)
            head = (
                _matching_head(work, code, slid) if not isinstance(_element(code, slid), CallFlow) else None
            )
            if head is not None:
                _begin(work, code, head + 1, first_step=True)


def _begin(work: _Step, code: FlowCode, head: int, *, first_step: bool) -> None:
    work.state.counter += 1
    _continue(work, Instance(work.state.counter, code.name, head), code, first_step=first_step)


def _continue(work: _Step, instance: Instance, code: FlowCode, *, first_step: bool) -> None:
    """Slide an instance on from its head, into the flows that it calls, and offer what it stops at."""
    head = _slide(work, code, instance.head)
    element = _element(code, head)
    if element is None:
        work.extension_done = work.extension_done or code.is_extension
        work.next.append(instance.at(head).turned(Status.COMPLETED))
    elif isinstance(element, CallFlow):
        called = work.code(_called_name(work, element))
        work.state.counter += 1
        child = Instance(work.state.counter, called.name, 0)
        work.next.append(instance.at(head + 1).turned(Status.INTERRUPTED, child.uid))
        _continue(work, child, called, first_step=first_step)
    else:
        work.next.append(instance.at(head))
        if isinstance(element, Utter | RunAction):
            _offer(work, _Offer(instance.uid, code, element, 1.0, first_step=first_step))


def _called_name(work: _Step, element: CallFlow) -> str:
    if not element.name.startswith("$"):
        return element.name
    return _with_arguments(work, str(work.state.variables.get(element.name[1:])))


def _with_arguments(work: _Step, reference: str) -> str:
    """The name in `name $x=y` or `name(x=y)`; the arguments become variables."""
    if reference in work.program.flows:
        return reference
    for argument in _ARGUMENT.finditer(reference):
        text = argument.group("text")
        work.state.variables[argument.group("name")] = text.strip("\"'")
        work.state.pending[argument.group("name")] = text.strip("\"'")
    return _NAME_END.split(reference, maxsplit=1)[0].strip()


# --- C: offers -----------------------------------------------------------------------------------------------------


def _offer(work: _Step, offer: _Offer) -> None:
    """Record the offer if its flow's priority is above what is recorded."""
    recorded = work.decision
    if recorded is None or recorded.weight < offer.flow.priority:
        offer.weight *= offer.flow.priority
        work.decision = offer


# --- D and E: extensions, interruption, resuming -------------------------------------------------------------------


def _extensions(work: _Step) -> None:
    if work.extension_done:
        for place, instance in enumerate(work.next):
            if instance.uid in work.aborted:
                revived = instance.turned(Status.ACTIVE)
                work.next[place] = revived
                _offer_again(work, revived)
        work.aborted.clear()
        return
    decided = work.decision
    if decided is not None and decided.flow.is_extension and not decided.first_step:
        for place, instance in enumerate(work.next):
            if instance.uid in work.aborted and work.code(instance.flow).interruptible:
                work.next[place] = instance.turned(Status.INTERRUPTED, decided.instance)


def _interrupt(work: _Step) -> None:
    """Flows that the event did not fit were interrupted by the one that decided."""
    by = work.decision.instance if work.decision else None
    for place, instance in enumerate(work.next):
        if instance.uid in work.interrupted:
            work.next[place] = instance.turned(Status.INTERRUPTED, by)


def _resume(work: _Step) -> None:
    moved = any(each.status is Status.INTERRUPTED for each in work.next)
    while moved:
        moved = False
        status = {each.uid: each.status for each in work.next}
        for place, instance in enumerate(work.next):
            if instance.status is not Status.INTERRUPTED:
                continue
            by = instance.interrupted_by
            cause = status.get(by, Status.COMPLETED) if by is not None else Status.COMPLETED
            if cause is Status.ABORTED:
                work.next[place] = instance.turned(Status.ABORTED)
                moved = True
            elif cause is Status.COMPLETED:
                del work.next[place]
                _insert(work, place, instance.turned(Status.ACTIVE))
                moved = True
            if moved:
                break


def _insert(work: _Step, place: int, instance: Instance) -> None:
    """Slide a resumed instance on, keeping its place in the order."""
    behind = work.next[place:]
    del work.next[place:]
    _continue(work, instance, work.code(instance.flow), first_step=False)
    work.next.extend(behind)


def _offer_again(work: _Step, instance: Instance) -> None:
    code = work.code(instance.flow)
    element = _element(code, instance.head)
    if isinstance(element, Utter | RunAction):
        _offer(work, _Offer(instance.uid, code, element, 1.0, first_step=False))


# --- elements ------------------------------------------------------------------------------------------------------


def _element(code: FlowCode, head: int) -> Element | None:
    return code.elements[head] if head < len(code.elements) else None


def _slide(work: _Step, code: FlowCode, head: int) -> int:
    """Execute sliding elements from `head` on; the place of the first other one."""
    scope = Variables(work.state.variables, work.program.config)
    while (element := _element(code, head)) is not None:
        work.executed += 1
        if work.executed > SLIDE_BOUND:
            raise ColangBudgetError(f"flow `{code.name}` does not come to a stop")
        if isinstance(element, SetVariable):
            value = element.value(scope)
            work.state.variables[element.name] = work.state.pending[element.name] = value
            head += 1
        elif isinstance(element, Jump):
            head = element.target
        elif isinstance(element, JumpUnless):
            head = head + 1 if element.condition(scope) else element.target
        else:
            break
    return head


def _matching_head(work: _Step, code: FlowCode, head: int) -> int | None:
    """The place of the element that the event fits: the one at `head`, or the last fitting branch."""
    element = _element(code, head)
    if isinstance(element, Branch):
        fitting = [target for target in element.targets if _fits(_element(code, target), work.event)]
        return fitting[-1] if fitting else None
    return head if _fits(element, work.event) else None


def _fits(element: Element | None, event: Event) -> bool:
    arguments = event.arguments
    if event.name == "UserIntent":
        return isinstance(element, WaitUser) and element.intent in {None, arguments.get("intent")}
    if event.name == "BotIntent":
        return isinstance(element, WaitBot) or (
            isinstance(element, Utter) and element.intent == arguments.get("intent")
        )
    if event.name == "InternalSystemActionFinished":
        return (
            isinstance(element, RunAction)
            and element.name == arguments.get("action_name")
            and arguments.get("status") == "success"
        )
    return (
        isinstance(element, WaitEvent) and element.type == event.name and _same(element.properties, arguments)
    )


def _same(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return all(value in (ANYTHING, found.get(name)) for name, value in wanted.items())


# --- the outcome --------------------------------------------------------------------------------------------------


def _settled(work: _Step) -> list[Command]:
    """Keep what is still under way, within bounds, and decide."""
    state = work.state
    alive = [each for each in work.next if each.status in {Status.ACTIVE, Status.INTERRUPTED}]
    for oldest in alive[: max(0, len(alive) - INSTANCE_BOUND)]:
        if work.code(oldest.flow).allow_multiple:
            alive.remove(oldest)
    state.instances = alive
    names = {each.flow for each in alive}
    state.added = {name: code for name, code in state.added.items() if name in names}
    return _decided(work)


def _decided(work: _Step) -> list[Command]:
    commands: list[Command] = []
    if work.state.pending:
        commands.append(Send(Event("ContextUpdate", {"data": dict(work.state.pending)})))
    if work.decision is None:
        return commands
    element, flow = work.decision.element, work.decision.flow.name
    if isinstance(element, Utter):
        instructions = {"instructions": element.instructions} if element.instructions else {}
        commands.append(Send(Event("BotIntent", {"intent": element.intent, **instructions}), flow))
    else:
        arguments = {
            "action_name": element.name,
            "action_params": dict(element.arguments),
            "action_result_key": element.result,
        }
        commands.append(Send(Event("StartInternalSystemAction", arguments), flow))
    return commands
