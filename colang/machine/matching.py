"""Does an event match what a head waits for, and how well.

`file` says under which event names, and under which argument, a head that begins to wait is found again. `score`
compares: a number above zero is a match, zero is none, and a negative one says that what the head waits for can no
longer come (the flow whose end it awaited has failed, for instance).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from operator import mul
from typing import Any

from colang.errors import ColangRuntimeError
from colang.expressions import check_size, read_attribute
from colang.instructions import (
    ActionForm,
    CallArguments,
    EventForm,
    FlowForm,
    Form,
    Match,
    MemberForm,
    Started,
)
from colang.machine.index import Entry
from colang.machine.run import Run
from colang.machine.signal import Signal
from colang.machine.state import Head, Instance
from colang.machine.values_match import fit
from colang.values import ActionRef, EventRef, FlowRef

MISMATCH = -1.0
_INSTANCE = "flow_instance_uid"
_FLOW_EVENTS = {"Started": "FlowStarted", "Finished": "FlowFinished", "Failed": "FlowFailed"}
_POWERS: tuple[float, ...] = tuple(accumulate([1.0] + [0.9] * 400, mul))


def power(exponent: int) -> float:
    """0.9 ** exponent, multiplied out, so that equal counts give equal scores."""
    return _POWERS[min(exponent, 400)]


# --- where a head is filed ---------------------------------------------------------------------------------------


def file(run: Run, instance: Instance, head: Head, form: Form) -> None:
    """Note in `head.entries` what the head waits for.

    Raises:
        ColangRuntimeError: a reference in the form leads nowhere.
    """
    head.entries = _FILING[type(form)](run, instance, form)
    run.wait(instance, head)


def _file_event(run: Run, instance: Instance, form: EventForm) -> tuple[Entry, ...]:
    return ((form.name, _text_argument(run, instance, form.arguments)),)


def _file_action(run: Run, instance: Instance, form: ActionForm) -> tuple[Entry, ...]:
    name = form.action + action_event(form.member)
    return ((name, _text_argument(run, instance, form.arguments)),)


def _file_flow(_: Run, __: Instance, form: FlowForm) -> tuple[Entry, ...]:
    return ((flow_event(form.member), ("flow_id", form.flow_id)),)


def _file_member(run: Run, instance: Instance, form: MemberForm) -> tuple[Entry, ...]:
    target = resolve(run, instance, form)
    if isinstance(target, FlowRef):
        # The opposite end of the flow settles the wait too.
        key = (_INSTANCE, target.uid)
        first = flow_event(form.member)
        others = ("FlowFinished", "FlowFailed")
        return ((first, key), *((name, key) for name in others if name != first))
    if isinstance(target, ActionRef):
        name = run.state.actions[target.uid].name + action_event(form.member)
        return ((name, ("action_uid", target.uid)),)
    raise ColangRuntimeError(f"${form.variable} is no flow or action: it has no event {form.member}")


def file_started(run: Run, instance: Instance, head: Head, uid: str) -> None:
    """Wait for the confirmation that the requested instance `uid` has started."""
    key = (_INSTANCE, uid)
    head.entries = (("FlowStarted", key), ("FlowFailed", key))
    run.wait(instance, head)


def _text_argument(run: Run, instance: Instance, arguments: CallArguments) -> tuple[str, str] | None:
    """The first expected argument that is a text and cannot change while the head waits."""
    for name, variable, value in arguments.plain:
        if variable is None or _is_fixed(instance, variable):
            text = value(run.at(instance))
            if type(text) is str:
                return name, text
    return None


def _is_fixed(instance: Instance, variable: str) -> bool:
    """A local of a flow with one head only changes when that head moves."""
    return not instance.flow.forks and instance.shares is None and variable not in instance.globals


def resolve(run: Run, instance: Instance, form: MemberForm) -> Any:
    """What the reference of a form stands for now.

    Raises:
        ColangRuntimeError: the variable was never set.
    """
    frame = run.at(instance)
    target = frame.read(form.variable)
    if target is None and not frame.known(form.variable):
        raise ColangRuntimeError(f"Unknown variable: '{form.variable}'!")
    for name in form.path:
        try:
            target = read_attribute(frame, target, name)
        except AttributeError as error:
            raise ColangRuntimeError(f"${form.variable}: {error}") from None
    return target


def flow_event(member: str) -> str:
    """The event that a member of a flow reference stands for.

    Raises:
        ColangRuntimeError: flows have no such event.
    """
    if member not in _FLOW_EVENTS:
        raise ColangRuntimeError(f"Event '{member}' not available! A flow has Started, Finished and Failed")
    return _FLOW_EVENTS[member]


def action_event(member: str) -> str:
    """The event that a member of an action stands for, without the name of the action.

    Raises:
        ColangRuntimeError: actions have no such event.
    """
    if member in {"Started", "Finished"} or member.endswith("Updated"):
        return member
    raise ColangRuntimeError(f"Event '{member}' not available! An action has Started, …Updated and Finished")


_FILING: dict[type, Callable[[Run, Instance, Any], tuple[Entry, ...]]] = {
    EventForm: _file_event,
    ActionForm: _file_action,
    FlowForm: _file_flow,
    MemberForm: _file_member,
}


# --- comparing ---------------------------------------------------------------------------------------------------


def score(run: Run, instance: Instance, head: Head, signal: Signal) -> float:
    """How well `signal` fits what the head waits for."""
    instruction = instance.flow.code[head.pc]
    if isinstance(instruction, Started):
        result = _score_started(head, signal)
    elif isinstance(instruction, Match):
        result = _SCORES[type(instruction.form)](run, instance, instruction.form, signal)
    else:  # pragma: no cover - only waiting heads are filed
        result = 0.0
    # A priority of 0.0 leaves the score as it is: nobody means a flow that hears nothing.
    return result * (instance.priority or 1.0) if result > 0 else result


def _score_started(head: Head, signal: Signal) -> float:
    if signal.name == "FlowFailed":
        return MISMATCH
    _, given = head.waited
    arguments = signal.arguments
    if arguments.get("source_flow_instance_uid") is None:
        return 1.0  # announced by another flow, on behalf of one that does not exist
    for name in given:
        if name not in arguments:
            return 0.0
    return power(len(arguments) - len(given) - 2)


def _score_event(run: Run, instance: Instance, form: EventForm, signal: Signal) -> float:
    extra = 1 if signal.action_uid in run.state.actions else 0
    return _score_arguments(run, instance, form.arguments, signal, extra)


def _score_action(run: Run, instance: Instance, form: ActionForm, signal: Signal) -> float:
    action = run.state.actions.get(signal.action_uid or "")
    extra = 0 if action is None else 1
    if form.start.named or form.start.positional:
        if action is None:
            return 0.0
        exponent = fit(evaluate_arguments(run, instance, form.start), action.arguments)
        if exponent is None:
            return 0.0
        extra = exponent
    return _score_arguments(run, instance, form.arguments, signal, extra)


def _score_flow(run: Run, instance: Instance, form: FlowForm, signal: Signal) -> float:
    """The pattern has all parameters of the flow: those given, and the others with their defaults."""
    if signal.arguments.get("flow_id") != form.flow_id:
        return 0.0
    code = run.flow_code(form.flow_id)
    if code is None:
        raise ColangRuntimeError(f"there is no flow `{form.flow_id}` to wait for")
    frame = run.at(instance)
    expected = {
        parameter.name: parameter.default(frame) if parameter.default else None
        for parameter in code.parameters
    }
    expected |= evaluate_arguments(run, instance, form.start) | evaluate_arguments(
        run, instance, form.arguments
    )
    expected["flow_id"] = form.flow_id
    return _score_values(expected, signal, 0)


def _score_member(run: Run, instance: Instance, form: MemberForm, signal: Signal) -> float:
    target = resolve(run, instance, form)
    if isinstance(target, ActionRef):
        if signal.action_uid != target.uid:
            return 0.0
        return _score_arguments(run, instance, form.arguments, signal, 0)
    if not isinstance(target, FlowRef) or signal.arguments.get(_INSTANCE) != target.uid:
        return 0.0
    exponent = 0
    for name, value in evaluate_arguments(run, instance, form.arguments).items():
        part = fit(value, signal.arguments[name]) if name in signal.arguments else None
        if part is None:
            return 0.0
        exponent += part
    return power(exponent) if signal.name == flow_event(form.member) else MISMATCH


def _score_arguments(
    run: Run, instance: Instance, arguments: CallArguments, signal: Signal, extra: int
) -> float:
    if not arguments.named and not arguments.positional:
        return power(len(signal.arguments) + extra)
    return _score_values(evaluate_arguments(run, instance, arguments), signal, extra)


def _score_values(expected: dict[str, Any], signal: Signal, extra: int) -> float:
    received = signal.arguments
    exponent = len(received) - len(expected) + extra
    for name, value in expected.items():
        if name not in received:
            return 0.0
        part = fit(value, received[name])
        if part is None:
            return 0.0
        exponent += part
    return power(exponent)


def evaluate_arguments(run: Run, instance: Instance, arguments: CallArguments) -> dict[str, Any]:
    """Named arguments by name, positional ones as `$0`, `$1`, …."""
    if not arguments.positional and not arguments.named:
        return {}
    frame = run.at(instance)
    values: dict[str, Any] = {f"${i}": value(frame) for i, value in enumerate(arguments.positional)}
    for name, value in arguments.named:
        values[name] = value(frame)
    return values


def sized_arguments(run: Run, instance: Instance, arguments: CallArguments) -> dict[str, Any]:
    """As `evaluate_arguments`, for values that leave the expression: each is small enough to be walked as a tree.

    Raises:
        ColangValueError: one is not, or cannot be evaluated.
    """
    values = evaluate_arguments(run, instance, arguments)
    for value in values.values():
        check_size(value)
    return values


_SCORES: dict[type, Callable[[Run, Instance, Any, Signal], float]] = {
    EventForm: _score_event,
    ActionForm: _score_action,
    FlowForm: _score_flow,
    MemberForm: _score_member,
}


def captured(signal: Signal) -> EventRef:
    """The event as `as $event` keeps it."""
    return EventRef(signal.name, signal.arguments, signal.flow_uid, signal.action_uid)
