"""Reading a state from outside: for system actions, prompts and the debugger. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from colang.errors import ColangRuntimeError
from colang.events import Event
from colang.expressions import FUNCTIONS
from colang.instructions import Call, FlowForm, Instruction, Match, MemberForm, Result, Say
from colang.machine.frame import STATUS_NAMES, flow_code, visible
from colang.machine.matching import resolve, score
from colang.machine.run import Run
from colang.machine.signal import Signal
from colang.machine.state import Head, Instance, Place, State
from colang.program import Program
from colang.source import Span
from colang.values import ActionRef, FlowRef


@dataclass(frozen=True, slots=True)
class FlowView:
    """One flow instance, for people who debug."""

    uid: str
    flow: str
    parent: str | None
    status: str
    arguments: Mapping[str, Any]
    loop: str
    priority: float
    activated: bool
    source: Span | None
    waiting: tuple[Span, ...]
    """Where its heads stand."""


def instances(program: Program, state: State) -> tuple[FlowView, ...]:
    """All instances of a conversation, in order of creation."""
    del program
    return tuple(_view(state, instance) for instance in state.in_order())


def _view(state: State, instance: Instance) -> FlowView:
    # A restarted flow belongs to whoever activated the first one.
    first = state.instances.get(instance.reference or "") or instance
    spans = instance.flow.spans
    standing = [head for head in instance.heads.values() if head.place is not Place.ASLEEP]
    return FlowView(
        uid=instance.uid,
        flow=instance.flow.flow_id,
        parent=first.parents[0] if first.parents else None,
        status=STATUS_NAMES[instance.status],
        arguments=dict(instance.arguments),
        loop=instance.loop_id,
        priority=instance.priority,
        activated=instance.activated > 0,
        source=spans[0] if spans else None,
        waiting=tuple(spans[head.pc] for head in standing if head.pc < len(spans)),
    )


def flow_known(state: State, flow_id: str) -> bool:
    """True if an instance of the flow exists or existed."""
    return flow_id in state.flows


def event_awaited(program: Program, state: State, event: Event) -> bool:
    """True if some head waits for this event."""
    run = Run(program, state)
    signal = Signal(event.name, event.arguments, action_uid=event.arguments.get("action_uid"))
    return any(
        score(run, instance, head, signal) > 0
        for instance, head in _heads(state, state.index.candidates(event.name, event.arguments))
    )


def _heads(state: State, keys: list[tuple[str, int]]) -> list[tuple[Instance, Head]]:
    return [(state.instances[uid], state.instances[uid].heads[number]) for uid, number in keys]


def awaited_flows(program: Program, state: State) -> list[str]:
    """Names of the flows whose end some head waits for, in order, without repetition."""
    run = Run(program, state)
    bucket = state.index.buckets.get("FlowFinished")
    keys = (
        [key for heads in bucket.keyed.values() for key in heads]
        if bucket and bucket.keyed is not None
        else []
    )
    names: dict[str, None] = {}
    for instance, head in _heads(state, keys):
        instruction = instance.flow.code[head.pc]
        form = instruction.form if isinstance(instruction, Match) else None
        if isinstance(form, FlowForm):
            names[form.flow_id] = None
        elif isinstance(form, MemberForm):
            target = _target(run, instance, form)
            if isinstance(target, FlowRef) and target.uid in state.instances:
                names[state.instances[target.uid].flow.flow_id] = None
    return list(names)


def _target(run: Run, instance: Instance, form: MemberForm) -> Any:
    try:
        return resolve(run, instance, form)
    except ColangRuntimeError:
        return None


def callers_of(state: State, flow_uid: str) -> list[tuple[str, str]]:
    """Uid and name of a flow instance, then of the one that asked for it, and so on up to `main`."""
    found: list[tuple[str, str]] = []
    instance = state.instances.get(flow_uid)
    while instance is not None:
        found.append((instance.uid, instance.flow.flow_id))
        instance = state.instances.get(instance.origin or "")
    return found


def owners_of(state: State, action_uid: str) -> tuple[str, ...]:
    """The flow instances that started an action, or wait for it with whoever did; none for an unknown one."""
    action = state.actions.get(action_uid)
    return action.owners if action is not None else ()


def locals_of(state: State, flow_uid: str) -> Mapping[str, Any]:
    """The local variables of a flow instance; empty if there is none."""
    instance = state.instances.get(flow_uid)
    while instance is not None and instance.shares is not None:
        instance = state.instances.get(instance.shares)
    return visible(instance) if instance else {}


@dataclass(frozen=True, slots=True)
class Handed:
    """A flow that is called with a value, and nothing but text around it."""

    flow_id: str
    before: str
    behind: str


def takes_result(program: Program, state: State, flow_uid: str, action_uid: str) -> tuple[Handed, ...]:
    """The flow that is called with an action's result as soon as that is there, then the one that it hands it on to.

    That is what follows from `$x = await SomeAction()` where the next statement is `other flow $x`, and where the first
    statement of `other flow` is a call with its parameter. Empty where none is.
    """
    instance = state.instances.get(flow_uid)
    for head in instance.heads.values() if instance is not None else ():
        waiting, *rest = instance.flow.code[head.pc : head.pc + _FAR] if instance is not None else ()
        if (
            isinstance(waiting, Match)
            and isinstance(waiting.form, MemberForm)
            and instance is not None
            and instance.locals.get(waiting.form.variable) == ActionRef(action_uid)
            and rest
            and isinstance(rest[0], Result)
        ):
            return tuple(_handed_on(program, state, rest[0].name, rest[1:]))
    return ()


_FAR: Final = 8
"""Instructions that are looked at behind a result, and flows that a value is followed through."""


def _handed_on(program: Program, state: State, name: str, code: Sequence[Instruction]) -> Iterator[Handed]:
    before = behind = ""
    for _ in range(_FAR):
        call = next((instruction for instruction in code if not isinstance(instruction, Say)), None)
        if not isinstance(call, Call) or call.activate or call.dynamic is not None:
            return
        sole = call.arguments.sole
        if sole is None or sole.name != name:
            return
        before, behind = sole.before + before, behind + sole.behind
        yield Handed(call.flow_id, before, behind)
        flow = flow_code(program, state, call.flow_id)
        if flow is None or not flow.parameters:
            return
        name, code = flow.parameters[0].name, flow.code[:_FAR]


def globals_of(state: State) -> Mapping[str, Any]:
    """The global variables."""
    return dict(state.globals)


def set_globals(state: State, values: Mapping[str, Any]) -> None:
    """Write global variables, as the context updates of an action do."""
    state.globals.update(values)


def function_names() -> frozenset[str]:
    """The built-in functions that an expression may call."""
    return frozenset(FUNCTIONS)
