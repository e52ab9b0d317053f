"""What internal events do by themselves, before anybody matches them: a table."""

from __future__ import annotations

from collections.abc import Callable

from colang.events import History
from colang.expressions import to_text
from colang.instructions import FlowCode
from colang.machine.lifecycle import RESERVED, bind, create, fail, finish, flow_arguments, launch, stop
from colang.machine.run import Run
from colang.machine.signal import Signal
from colang.machine.slide import includes
from colang.machine.state import RUNNING, Head, Instance, Status

START_MAIN = "StartMain"
"""What `begin` sends; no program can."""

Moves = list[tuple[Instance, Head, float]]
"""Heads that an effect lets go on, with the score of the match."""


class Handled:
    """What an effect has done: heads to advance, and the interaction loops for which the event is dealt with."""

    __slots__ = ("everywhere", "loops", "moves")

    def __init__(self) -> None:
        self.everywhere = False
        self.loops: set[str] = set()
        self.moves: Moves = []


def apply(run: Run, signal: Signal) -> Handled | None:
    """Do what the event means; None for an event without a built-in meaning."""
    effect = _EFFECTS.get(signal.name)
    if effect is None:
        return None
    handled = Handled()
    effect(run, signal, handled)
    return handled


def _start_flow(run: Run, signal: Signal, handled: Handled) -> None:
    code = run.flow_code(str(signal.arguments.get("flow_id")))
    if code is None:
        return
    handled.everywhere = True
    restarts = signal.arguments.get("&restarts")
    origin = run.state.instances.get(signal.arguments.get("source_flow_instance_uid") or "")
    if restarts is None and origin is not None and origin.status > Status.STARTED:
        return
    if restarts is not None and _is_over(run, restarts):
        return
    reference = _reference(run, code, signal) if signal.arguments.get("activated") and not restarts else None
    if reference is not None:
        _activate_again(run, reference, signal)
        return
    instance = create(run, code, signal)
    if signal.arguments.get("activated"):
        instance.activated = 1
    if restarts is not None and instance.activated:
        instance.reference = signal.arguments["source_flow_instance_uid"]
    handled.moves.append((instance, launch(run, instance, ()), 1.0))


def _start_main(run: Run, _: Signal, handled: Handled) -> None:
    """`main` begins, or begins again: its variables stay."""
    main = run.state.own(run.state.main)
    handled.everywhere = True
    handled.moves.append((main, launch(run, main, ()), 1.0))


def _is_over(run: Run, restarts: str) -> bool:
    """True if the activation was given up between the end of an instance and its restart."""
    instances = run.state.instances
    ended = instances.get(restarts)
    if ended is None:
        return True
    reference = instances.get(ended.reference) if ended.reference else ended
    return not ended.renewed and (reference is None or not reference.activated)


def _reference(run: Run, code: FlowCode, signal: Signal) -> Instance | None:
    """The activated instance with equal parameter values, whether passed by name, by position or by default."""
    probe = Instance("", code, "")
    bind(run, probe, signal.arguments)
    wanted = {parameter.name: probe.arguments[parameter.name] for parameter in code.parameters}
    for uid in run.state.flows.get(code.flow_id) or ():
        instance = run.state.instances[uid]
        if instance.activated and instance.reference is None and includes(instance.arguments, wanted):
            return instance
    return None


def _activate_again(run: Run, reference: Instance, signal: Signal) -> None:
    reference = run.state.own(reference.uid)
    reference.activated += 1
    activator = str(signal.arguments.get("source_flow_instance_uid"))
    if activator in run.state.instances:
        # Once for each time: its end takes back all that it has asked for.
        parent = run.state.own(activator)
        parent.children = (*parent.children, reference.uid)
        reference.parents = (*reference.parents, activator)
    uid = signal.arguments.get("flow_instance_uid", reference.uid)
    run.push(Signal("FlowStarted", flow_arguments(reference, uid), signal.scores, flow_uid=reference.uid))


def _addressed(run: Run, signal: Signal) -> list[Instance]:
    """The running instances that a FinishFlow or StopFlow means."""
    arguments = signal.arguments
    uid = arguments.get("flow_instance_uid")
    if uid is not None:
        instance = run.state.instances.get(uid)
        return [instance] if instance is not None else []
    wanted = {name: value for name, value in arguments.items() if name not in _CONTROL}
    uids = run.state.flows.get(str(arguments.get("flow_id"))) or ()
    instances = [run.state.instances[uid] for uid in uids]
    return [each for each in instances if each.status in RUNNING and includes(each.arguments, wanted)]


_CONTROL = RESERVED | {"deactivate", "context_update"}


def _finish_flow(run: Run, signal: Signal, handled: Handled) -> None:
    for found in _addressed(run, signal):
        instance = run.state.own(found.uid)
        handled.loops.add(instance.loop_id)
        update = signal.arguments.get("context_update")
        if isinstance(update, dict):
            instance.locals.update(update)
        if signal.arguments.get("deactivate"):
            _leave_reference(run, instance)
            instance.activated = 0
            finish(run, instance, signal.scores, deactivate=True)
        else:
            finish(run, instance, signal.scores)


def _stop_flow(run: Run, signal: Signal, handled: Handled) -> None:
    by_uid = signal.arguments.get("flow_instance_uid") is not None
    for found in _addressed(run, signal):
        instance = run.state.own(found.uid)
        if instance.status not in RUNNING and not instance.activated:
            continue
        handled.loops.add(instance.loop_id)
        if not by_uid and not signal.arguments.get("deactivate"):
            fail(run, instance, signal.scores, again=True)
        elif not by_uid and instance.activated > 1:
            instance.activated -= 1
        else:
            _leave_reference(run, instance)
            stop(run, instance, signal.scores)


def _leave_reference(run: Run, instance: Instance) -> None:
    """No restart: the reference that a restarted instance belongs to ends with it."""
    if instance.reference is not None and instance.reference in run.state.instances:
        reference = run.state.own(instance.reference)
        reference.children = tuple(uid for uid in reference.children if uid != instance.uid)
        instance.parents = tuple(uid for uid in instance.parents if uid != reference.uid)
        instance.reference = None
        instance.activated = 0
        stop(run, reference, ())


def _log(run: Run, signal: Signal, handled: Handled) -> None:
    handled.everywhere = True
    arguments = signal.arguments
    parameter = arguments.get("parameter")
    run.commands.append(
        History(
            _LOG_KINDS[signal.name],
            to_text(arguments.get("flow_id")),
            None if parameter is None else to_text(parameter),
            arguments.get("intent_flow_id"),
        )
    )


_LOG_KINDS = {
    "UserIntentLog": "user_intent",
    "BotIntentLog": "bot_intent",
    "UserActionLog": "user_action",
    "BotActionLog": "bot_action",
}


def _update_context(run: Run, signal: Signal, _: Handled) -> None:
    data = signal.arguments.get("data")
    if isinstance(data, dict):
        run.state.globals.update(data)


_EFFECTS: dict[str, Callable[[Run, Signal, Handled], None]] = {
    "StartFlow": _start_flow,
    START_MAIN: _start_main,
    "FinishFlow": _finish_flow,
    "StopFlow": _stop_flow,
    "ContextUpdate": _update_context,
    **dict.fromkeys(_LOG_KINDS, _log),
}
