"""A head slides over instructions until one stops it: a table from instruction to what it does.

Each function returns the head to go on with, or None if the head has stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from colang.errors import ColangRuntimeError, ColangValueError
from colang.events import INTERNAL_EVENTS, LogLine, PrintLine
from colang.expressions import check_size, to_text
from colang.instructions import (
    Assign,
    Branch,
    Call,
    Capture,
    CloseScope,
    Collect,
    Deactivate,
    EventForm,
    Fail,
    FlowForm,
    Fork,
    Global,
    Handler,
    Jump,
    Match,
    MemberForm,
    Merge,
    NewAction,
    NewInstance,
    OpenScope,
    Priority,
    Result,
    Return,
    Say,
    Send,
    Started,
    Stop,
)
from colang.machine.actions import make_action, release_action
from colang.machine.heads import collect, fail_head, fork
from colang.machine.lifecycle import confirm_start, finish, release, restart_signal
from colang.machine.matching import evaluate_arguments, file, file_started, resolve, sized_arguments
from colang.machine.run import EngineFault, Run
from colang.machine.signal import Signal
from colang.machine.state import RUNNING, Head, Instance, Place, Status
from colang.values import ActionRef, FlowRef


def advance(run: Run, instance: Instance, head: Head) -> None:
    """Slide `head` and everything it forks; a run-time error fails the flow and becomes a ColangError event."""
    _slide_branch(run, instance, head)
    _check_started(run, instance, head)


def _slide_branch(run: Run, instance: Instance, head: Head) -> None:
    try:
        _slide(run, instance, head)
    except ColangRuntimeError as error:
        _fault(run, instance, head, error)


def _slide(run: Run, instance: Instance, head: Head) -> None:
    code = instance.flow.code
    following: Head | None = head
    while following is not None:
        head = following
        if head.pc >= len(code):
            finish(run, instance, head.scores)
            return
        run.count(instance.flow.flow_id)
        instruction = code[head.pc]
        following = _ACTIONS[type(instruction)](run, instance, head, instruction)


def _fault(run: Run, instance: Instance, head: Head, error: ColangRuntimeError) -> None:
    run.fail(instance.flow, head.pc, error)
    if head.number in instance.heads:
        following = fail_head(run, instance, head, head.scores)
        if following is not None:
            advance(run, instance, following)


def _check_started(run: Run, instance: Instance, head: Head) -> None:
    """A flow has started when all its heads stand at waits of the author's."""
    if instance.status is not Status.STARTING or not instance.heads:
        return
    code = instance.flow.code
    for other in instance.heads.values():
        if other.place is Place.ASLEEP or other.place is Place.COLLECTING:
            # It waits for heads of its own flow, which are looked at themselves.
            continue
        if other.place is not Place.WAITING or not isinstance(code[other.pc], Match):
            return
    instance.waited = True
    confirm_start(run, instance, head.scores)


# --- data --------------------------------------------------------------------------------------------------------


def _assign(run: Run, instance: Instance, head: Head, instruction: Assign) -> Head:
    frame = run.at(instance)
    frame.write(instruction.name, instruction.value(frame))
    return _next(head)


def _next(head: Head) -> Head:
    head.pc += 1
    return head


def _capture(run: Run, instance: Instance, head: Head, instruction: Capture) -> Head:
    frame = run.at(instance)
    frame.write(instruction.name, frame.read(instruction.hidden))
    return _next(head)


def _result(run: Run, instance: Instance, head: Head, instruction: Result) -> Head:
    frame = run.at(instance)
    event = frame.read(instruction.hidden)
    if "return_value" not in event.arguments:
        raise ColangValueError(f"{event.name} has no return_value to assign to ${instruction.name}")
    frame.write(instruction.name, event.arguments["return_value"])
    return _next(head)


def _global(run: Run, instance: Instance, head: Head, instruction: Global) -> Head:
    owner = run.at(instance).variables()
    owner.globals |= {instruction.name}
    run.state.globals.setdefault(instruction.name, None)
    return _next(head)


def _priority(run: Run, instance: Instance, head: Head, instruction: Priority) -> Head:
    value = instruction.value(run.at(instance))
    if not isinstance(value, float) or not 0.0 <= value <= 1.0:
        raise ColangValueError("priority must be a float number between 0.0 and 1.0!")
    instance.priority = value
    return _next(head)


def _say(run: Run, instance: Instance, head: Head, instruction: Say) -> Head:
    text = to_text(instruction.value(run.at(instance)))
    run.commands.append(PrintLine(text) if instruction.printed else LogLine(text, instance.uid))
    return _next(head)


# --- control -----------------------------------------------------------------------------------------------------


def _jump(_: Run, __: Instance, head: Head, instruction: Jump) -> Head:
    head.pc = instruction.target
    return head


def _branch(run: Run, instance: Instance, head: Head, instruction: Branch) -> Head:
    if instruction.test(run.at(instance)):
        return _next(head)
    head.pc = instruction.otherwise
    return head


def _return(run: Run, instance: Instance, head: Head, instruction: Return) -> None:
    value = instruction.value(run.at(instance)) if instruction.value else None
    check_size(value)
    finish(run, instance, head.scores, returned=(value,))


def _fail(run: Run, instance: Instance, head: Head, _: Fail) -> Head | None:
    return fail_head(run, instance, head, head.scores)


def _new_instance(run: Run, instance: Instance, head: Head, _: NewInstance) -> Head:
    """Before the first wait the label means nothing: the instance has not started yet. Nor is there a second `main`."""
    if instance.status is Status.STARTED and instance.uid != run.state.main:
        run.push_front(restart_signal(instance, head.scores))
        instance.renewed = True
    return _next(head)


# --- flows -------------------------------------------------------------------------------------------------------


def _call(run: Run, instance: Instance, head: Head, instruction: Call) -> Head:
    flow_id = instruction.flow_id
    if instruction.dynamic is not None:
        flow_id = to_text(instruction.dynamic(run.at(instance)))
    arguments = sized_arguments(run, instance, instruction.arguments)
    uid = f"({flow_id}){run.state.random.uid()}"
    head.waited = (uid, tuple(arguments))
    arguments["flow_id"] = flow_id
    arguments["flow_instance_uid"] = uid
    arguments["source_flow_instance_uid"] = instance.uid
    arguments["source_head_uid"] = f"{instance.uid}/{head.number}"
    arguments["flow_hierarchy_position"] = (*instance.position, head.pc)
    if instruction.activate:
        arguments["activated"] = True
    if instruction.shared:
        arguments["&shares"] = instance.uid
    run.push(Signal("StartFlow", arguments, head.scores, flow_uid=instance.uid))
    return _next(head)


def remember(instance: Instance, scope: str, kind: str, uid: str) -> None:
    """Note what was started in a scope."""
    instance.scopes[scope] = (*instance.scopes.get(scope, ()), (kind, uid))


def _started(run: Run, instance: Instance, head: Head, _: Started) -> None:
    head.place = Place.WAITING
    file_started(run, instance, head, head.waited[0])


def _stop(run: Run, instance: Instance, head: Head, instruction: Stop) -> Head:
    wanted = evaluate_arguments(run, instance, instruction.arguments)
    for uid in instance.children:
        child = run.state.instances.get(uid)
        if child and child.flow.flow_id == instruction.flow_id and includes(child.arguments, wanted):
            arguments = {"flow_id": instruction.flow_id, "flow_instance_uid": uid}
            run.push(Signal("StopFlow", arguments, head.scores, flow_uid=instance.uid))
    return _next(head)


def includes(arguments: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """True if every wanted argument is among `arguments` with an equal value."""
    return all(name in arguments and arguments[name] == value for name, value in wanted.items())


def _deactivate(run: Run, instance: Instance, head: Head, instruction: Deactivate) -> Head:
    arguments = evaluate_arguments(run, instance, instruction.arguments)
    arguments["flow_id"] = instruction.flow_id
    arguments["deactivate"] = True
    run.push(Signal("StopFlow", arguments, head.scores, flow_uid=instance.uid))
    return _next(head)


# --- actions and events ------------------------------------------------------------------------------------------


def _new_action(run: Run, instance: Instance, head: Head, instruction: NewAction) -> Head:
    arguments = sized_arguments(run, instance, instruction.arguments)
    action = make_action(run, instance, instruction.action, arguments)
    reference = ActionRef(action.uid)
    frame = run.at(instance)
    instance.locals[instruction.hidden] = reference
    if instruction.name:
        frame.write(instruction.name, reference)
    if head.scope is not None:
        remember(instance, head.scope, "action", action.uid)
    return _next(head)


def _send(run: Run, instance: Instance, head: Head, instruction: Send) -> Head | None:
    """An internal event is queued at once; any other waits until its loop's conflicts are resolved."""
    signal = internal_signal(run, instance, instruction)
    if signal is None:
        head.place = Place.SENDING
        run.sending[(instance.uid, head.number)] = None
        return None
    signal.scores = head.scores
    run.push(signal)
    return _next(head)


def internal_signal(run: Run, instance: Instance, instruction: Send) -> Signal | None:
    """The internal event that a `send` stands for; None for one that the world is to hear of.

    Raises:
        ColangRuntimeError: an argument cannot be evaluated, or a flow has no such event.
    """
    form = instruction.form
    if isinstance(form, EventForm) and form.name in INTERNAL_EVENTS:
        arguments = sized_arguments(run, instance, form.arguments)
        if form.name == "StartFlow":
            arguments.setdefault("source_flow_instance_uid", instance.uid)
            arguments.setdefault("flow_hierarchy_position", (*instance.position, 0))
        return Signal(form.name, arguments, flow_uid=instance.uid)
    if isinstance(form, FlowForm):
        arguments = sized_arguments(run, instance, form.start)
        return Signal(
            _flow_command(form.member), {"flow_id": form.flow_id, **arguments}, flow_uid=instance.uid
        )
    if isinstance(form, MemberForm):
        target = resolve(run, instance, form)
        if isinstance(target, FlowRef):
            return _flow_member(run, instance, form, target)
    return None


def _flow_member(run: Run, instance: Instance, form: MemberForm, target: FlowRef) -> Signal:
    arguments = sized_arguments(run, instance, form.arguments)
    arguments["flow_instance_uid"] = target.uid
    name = _flow_command(form.member)
    if name == "StartFlow":
        arguments["flow_id"] = run.state.instances[target.uid].flow.flow_id
        arguments["flow_instance_uid"] = f"({arguments['flow_id']}){run.state.random.uid()}"
        arguments["source_flow_instance_uid"] = instance.uid
    return Signal(name, arguments, flow_uid=instance.uid)


_FLOW_COMMANDS = {
    "Start": "StartFlow",
    "Stop": "StopFlow",
    "Finish": "FinishFlow",
    "Pause": "PauseFlow",
    "Resume": "ResumeFlow",
}


def _flow_command(member: str) -> str:
    if member not in _FLOW_COMMANDS:
        raise ColangRuntimeError(f"Invalid flow event {member}! To a flow one can send Start and Stop")
    return _FLOW_COMMANDS[member]


def _match(run: Run, instance: Instance, head: Head, instruction: Match) -> None:
    """A reference that leads nowhere is no failure of the flow: it stays where it is, for good."""
    head.place = Place.WAITING
    try:
        file(run, instance, head, instruction.form)
    except ColangRuntimeError as error:
        raise EngineFault(error, instance.flow, head.pc) from None


# --- groups ------------------------------------------------------------------------------------------------------


def _fork(run: Run, instance: Instance, head: Head, instruction: Fork) -> None:
    for child in fork(run, instance, head, instruction.targets):
        if child.number in instance.heads and instance.status in RUNNING:
            _slide_branch(run, instance, child)


def _merge(run: Run, instance: Instance, head: Head, _: Merge) -> None:
    head.place = Place.MERGING
    if head.parent is not None:
        run.merging[(instance.uid, head.parent)] = None


def _collect(run: Run, instance: Instance, head: Head, instruction: Collect) -> Head | None:
    return collect(run, instance, head, instruction.count)


def _handler(_: Run, __: Instance, head: Head, instruction: Handler) -> Head:
    head.handlers = (*head.handlers, (instruction.target, head.number))
    return _next(head)


def _open_scope(_: Run, instance: Instance, head: Head, instruction: OpenScope) -> Head:
    head.scope = instruction.scope
    instance.scopes[instruction.scope] = ()
    return _next(head)


def _close_scope(run: Run, instance: Instance, head: Head, instruction: CloseScope) -> Head:
    """Stop what was started in the scope and has not ended: flows first, then actions."""
    head.scope = None
    members = instance.scopes.pop(instruction.scope, ())
    flows = [uid for kind, uid in members if kind == "flow" and uid in instance.children]
    instance.children = tuple(uid for uid in instance.children if uid not in flows)
    for uid in flows:
        release(run, run.state.own(uid), instance.uid, head.scores)
    actions = [uid for kind, uid in members if kind == "action" and uid in instance.actions]
    instance.actions = tuple(uid for uid in instance.actions if uid not in actions)
    for uid in actions:
        release_action(run, uid, instance.uid)
    return _next(head)


_ACTIONS: dict[type, Callable[[Run, Instance, Head, Any], Head | None]] = {
    Assign: _assign,
    Capture: _capture,
    Result: _result,
    Global: _global,
    Priority: _priority,
    Say: _say,
    Jump: _jump,
    Branch: _branch,
    Return: _return,
    Fail: _fail,
    NewInstance: _new_instance,
    Call: _call,
    Started: _started,
    Stop: _stop,
    Deactivate: _deactivate,
    NewAction: _new_action,
    Send: _send,
    Match: _match,
    Fork: _fork,
    Merge: _merge,
    Collect: _collect,
    Handler: _handler,
    OpenScope: _open_scope,
    CloseScope: _close_scope,
}
