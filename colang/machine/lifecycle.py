"""The life of flow instances: created, started, finished or failed, restarted if activated.

An activated flow has a *reference* instance, the one that the first activation made. It counts its activations and
stays in the tables when it has ended; the instances that restart it are its children. When the last flow that
activated it ends, or a `deactivate` says so, the reference and whatever runs for it are stopped.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from colang import limits
from colang.errors import ColangBudgetError, ColangRuntimeError
from colang.expressions import to_text
from colang.instructions import FlowCode
from colang.machine.actions import release_actions
from colang.machine.frame import Frame
from colang.machine.run import Run
from colang.machine.signal import Scores, Signal
from colang.machine.state import RUNNING, Head, Instance, Status

RESERVED = frozenset(
    {
        "flow_id",
        "flow_instance_uid",
        "source_flow_instance_uid",
        "source_head_uid",
        "flow_hierarchy_position",
        "activated",
    }
)
"""Arguments of StartFlow, FinishFlow and StopFlow that are no parameters of the flow."""

Returned: TypeAlias = tuple[()] | tuple[Any]
"""What a flow returned; nothing without a `return`, which is not the same as None."""


# --- beginning ---------------------------------------------------------------------------------------------------


def create(run: Run, code: FlowCode, signal: Signal) -> Instance:
    """A new instance for a StartFlow event, with its parameters bound; its first head has not moved.

    Raises:
        ColangRuntimeError: a default cannot be evaluated; then nothing was made.
        ColangBudgetError: too many flows are below each other.
    """
    state = run.state
    arguments = signal.arguments
    origin = arguments.get("source_flow_instance_uid")
    parent = state.own(origin) if isinstance(origin, str) and origin in state.instances else None
    uid = arguments.get("flow_instance_uid") or f"({code.flow_id}){state.random.uid()}"
    instance = Instance(uid, code, _loop_of(run, code, parent))
    instance.owner = state.token
    instance.origin = origin
    instance.position = tuple(arguments.get("flow_hierarchy_position") or ())
    if len(instance.position) > limits.MAX_DEPTH:
        message = (
            f"flow `{code.flow_id}` was stopped: more than {limits.MAX_DEPTH} flows are below each other"
        )
        raise ColangBudgetError(f"{message}; is there an endless recursion?")
    instance.shares = arguments.get("&shares")
    # First: where a default cannot be evaluated, there is no instance.
    bind(run, instance, arguments)
    if parent is not None:
        instance.parents = (parent.uid,)
        parent.children = (*parent.children, uid)
    register(run, instance)
    return instance


def register(run: Run, instance: Instance) -> None:
    """Number an instance and put it into the tables; from here on others can find it."""
    state = run.state
    state.sequence += 1
    instance.number = state.sequence
    state.instances[instance.uid] = instance
    state.enlist(instance)


def _loop_of(run: Run, code: FlowCode, parent: Instance | None) -> str:
    if code.loop_id == "NEW":
        return f"({code.flow_id}){run.state.random.uid()}"
    if code.loop_id is not None:
        return code.loop_id
    return parent.loop_id if parent else f"({code.flow_id}){run.state.random.uid()}"


def bind(run: Run, instance: Instance, passed: Any) -> None:
    """Set parameters and out-members; defaults are evaluated afresh, without variables in sight."""
    code = instance.flow
    for i, parameter in enumerate(code.parameters):
        place = f"${i}"
        if parameter.name in passed:
            value = passed[parameter.name]
        elif place in passed:
            value = passed[place]
        else:
            value = parameter.default(_bare(run, code)) if parameter.default else None
        instance.arguments[parameter.name] = value
    for i in range(len(code.parameters)):
        if f"${i}" in passed:
            instance.arguments[f"${i}"] = passed[f"${i}"]
    if instance.shares is None:
        instance.locals = {
            parameter.name: instance.arguments[parameter.name] for parameter in code.parameters
        }
    for member in code.members:
        instance.locals[member.name] = member.default(_bare(run, code)) if member.default else None


def _bare(run: Run, code: FlowCode) -> Frame:
    """The surroundings of a flow of which nothing is known yet."""
    return run.at(Instance("", code, ""))


def launch(run: Run, instance: Instance, scores: Scores) -> Head:
    """The first head of an instance that begins to run."""
    instance.status = Status.STARTING
    instance.waited = False
    loops = run.state.loops
    loops[instance.loop_id] = loops.get(instance.loop_id, 0) + 1
    head = instance.new_head(0)
    head.scores = scores
    return head


def confirm_start(run: Run, instance: Instance, scores: Scores) -> None:
    """The instance has come to its first wait, or to its end: tell who started it."""
    instance.status = Status.STARTED
    run.push(
        Signal("FlowStarted", flow_arguments(instance, instance.uid), scores, flow_uid=instance.uid),
    )
    _log_history(run, instance, scores, at_start=True)


def flow_arguments(instance: Instance, uid: str) -> dict[str, Any]:
    """The arguments of an event about an instance; `uid` is the instance that was asked for."""
    return {
        "flow_id": instance.flow.flow_id,
        "source_flow_instance_uid": instance.uid,
        "flow_instance_uid": uid,
        **instance.arguments,
    }


# --- ending ------------------------------------------------------------------------------------------------------


def finish(
    run: Run, instance: Instance, scores: Scores, *, deactivate: bool = False, returned: Returned = ()
) -> None:
    """The flow reached its end, or a FinishFlow said so."""
    if instance.status not in RUNNING:
        return
    starting = instance.status is Status.STARTING
    if starting and not instance.waited and (instance.activated or instance.uid == run.state.main):
        _settle(run, instance, scores)
        return
    if starting:
        confirm_start(run, instance, scores)
    _end(run, instance, Status.FINISHED, scores, returned)
    _log_history(run, instance, scores, at_start=False)
    if instance.uid == run.state.main:
        _rest(run, instance)
    elif not deactivate:
        _restart(run, instance, scores)


def fail(run: Run, instance: Instance, scores: Scores, *, again: bool) -> None:
    """The flow failed, lost a conflict, or was stopped; `again` lets it restart if it is activated."""
    if instance.status not in RUNNING:
        return
    _end(run, instance, Status.STOPPED, scores)
    if again and instance.uid != run.state.main:
        _restart(run, instance, scores)


def _settle(run: Run, instance: Instance, scores: Scores) -> None:
    """An activated flow that never waited has run for good: it stays, and so does what it started."""
    for head in list(instance.heads.values()):
        run.unfile(instance, head)
    instance.heads = {}
    confirm_start(run, instance, scores)


def _end(run: Run, instance: Instance, status: Status, scores: Scores, returned: Returned = ()) -> None:
    """Stop what is below, deepest first, then the flow's own actions; then say that it has ended."""
    # The status comes first: what its children's ends set in motion must find this flow over.
    drop_heads(run, instance)
    instance.status = status
    release_children(run, instance, scores)
    _close(run, instance, scores, returned)


def _close(run: Run, instance: Instance, scores: Scores, returned: Returned = ()) -> None:
    """The end of one instance that has no children left."""
    release_actions(run, instance)
    _leave_loop(run, instance)
    finished = instance.status is Status.FINISHED
    arguments = flow_arguments(instance, instance.uid)
    if returned:
        (arguments["return_value"],) = returned
    name = "FlowFinished" if finished else "FlowFailed"
    run.push(Signal(name, arguments, scores, flow_uid=instance.uid))
    # The first instance of an activated flow stays in the tables: it counts who has activated it.
    if not instance.activated or instance.reference is not None:
        retire(run, instance)


def _leave_loop(run: Run, instance: Instance) -> None:
    loops = run.state.loops
    loops[instance.loop_id] -= 1
    if not loops[instance.loop_id]:
        del loops[instance.loop_id]


def drop_heads(run: Run, instance: Instance) -> None:
    """End all heads of an instance, wherever they stand or wait."""
    for head in instance.heads.values():
        run.unfile(instance, head)
        run.sending.pop((instance.uid, head.number), None)
        run.merging.pop((instance.uid, head.number), None)
    instance.heads = {}


def retire(run: Run, instance: Instance) -> None:
    """The instance has ended for good: no table by name has it, no parent stops it any more."""
    state = run.state
    state.delist(instance)
    for uid in instance.parents:
        if uid in state.instances:
            parent = state.own(uid)
            if instance.uid in parent.children:
                parent.children = tuple(child for child in parent.children if child != instance.uid)
    state.ended += 1


def release_children(run: Run, instance: Instance, scores: Scores) -> None:
    """The end of a flow stops the flows it started and gives up the ones it activated."""
    stop_all(run, _given_up(run, instance), scores)


def release(run: Run, child: Instance, parent: str, scores: Scores) -> None:
    """`parent` no longer keeps `child`."""
    child.parents = tuple(uid for uid in child.parents if uid != parent)
    if child.activated > 1:
        child.activated -= 1
    else:
        stop_all(run, [child], scores)


def _given_up(run: Run, instance: Instance) -> list[Instance]:
    """The children that end with an instance; those that run in its place, or that others activated too, stay."""
    kept, ending = [], []
    for uid in instance.children:
        if uid not in run.state.instances:
            continue
        child = run.state.own(uid)
        if instance.activated and child.reference == instance.uid:
            kept.append(uid)
            continue
        child.parents = tuple(other for other in child.parents if other != instance.uid)
        if child.activated > 1:
            child.activated -= 1
        else:
            ending.append(child)
    instance.children = tuple(kept)
    return ending


def stop(run: Run, instance: Instance, scores: Scores) -> None:
    """End an instance for good, and whatever restarted it."""
    stop_all(run, [instance], scores)


def stop_all(run: Run, instances: list[Instance], scores: Scores) -> None:
    """End instances and everything below them, children before parents; iterative, for flows may be nested deeply."""
    order: list[tuple[Instance, bool]] = []
    pending = list(instances)
    while pending:
        instance = pending.pop()
        anchored = instance.activated > 0
        instance.activated = 0
        order.append((instance, anchored))
        pending += _given_up(run, instance)
    for instance, anchored in reversed(order):
        if instance.status in RUNNING:
            drop_heads(run, instance)
            instance.status = Status.STOPPED
            _close(run, instance, scores)
        elif anchored:
            retire(run, instance)


# --- starting again ----------------------------------------------------------------------------------------------


def _rest(run: Run, instance: Instance) -> None:
    """`main` waits for the next call into the runtime; its variables stay (see tests/colang/quirks.yaml)."""
    instance.status = Status.WAITING
    run.state.enlist(instance)


def _restart(run: Run, instance: Instance, scores: Scores) -> None:
    if instance.activated and not instance.renewed:
        run.push_front(restart_signal(instance, scores))


def restart_signal(instance: Instance, scores: Scores) -> Signal:
    """Start the next instance of an activated flow, or of one that passed `start_new_flow_instance`."""
    arguments = {
        **instance.arguments,
        "flow_id": instance.flow.flow_id,
        "source_flow_instance_uid": instance.reference
        or (instance.uid if instance.activated else instance.origin),
        "flow_hierarchy_position": instance.position,
        "activated": bool(instance.activated),
        "&restarts": instance.uid,
    }
    return Signal("StartFlow", arguments, scores)


# --- history -----------------------------------------------------------------------------------------------------

_LOGS = {
    "user_intent": "UserIntentLog",
    "bot_intent": "BotIntentLog",
    "user_action": "UserActionLog",
    "bot_action": "BotActionLog",
}


def _log_history(run: Run, instance: Instance, scores: Scores, *, at_start: bool) -> None:
    """Tagged flows leave a line for prompts: what the bot is after when they start, all else when they finish."""
    for tag, text in instance.flow.tags:
        if (tag == "bot_intent") is not at_start:
            continue
        flow_id = instance.flow.flow_id
        parameter = instance.arguments.get("$0")
        try:
            if text is not None:
                flow_id, parameter = to_text(text(run.at(instance))), None
        except ColangRuntimeError as error:
            # The flow has ended all the same; what it was to be remembered by cannot be told.
            run.fail(instance.flow, None, error)
            continue
        arguments = {"flow_id": flow_id, "parameter": parameter}
        if tag.endswith("_action"):
            arguments["intent_flow_id"] = _intent_of(run, instance)
        run.push(Signal(_LOGS[tag], arguments, scores, flow_uid=instance.uid))


def _intent_of(run: Run, instance: Instance) -> str | None:
    """The intent that an action belongs to: the nearest flow above that is tagged as one."""
    current: Instance | None = instance
    while current is not None:
        if any(tag.endswith("_intent") for tag, _ in current.flow.tags):
            return current.flow.flow_id
        current = run.state.instances.get(current.origin or "")
    return None
