"""The book-keeping of actions: what was asked for, what came back, who still needs it."""

from __future__ import annotations

from typing import Any

from colang.machine.run import Run
from colang.machine.signal import Signal
from colang.machine.state import Action, Instance

_ENDED = frozenset({"finished", "initialized"})
_MARK = "Action"


def make_action(run: Run, instance: Instance, name: str, arguments: dict[str, Any]) -> Action:
    """An action that has not been started yet."""
    action = Action(run.state.random.uid(), name, arguments, instance.uid)
    action.owner = run.state.token
    action.context.update(arguments)
    run.state.actions[action.uid] = action
    instance.actions = (*instance.actions, action.uid)
    return action


def release_actions(run: Run, instance: Instance) -> None:
    """The flow has ended: stop its unfinished actions, unless another flow shares them."""
    uids, instance.actions = instance.actions, ()
    for uid in uids:
        if uid in run.state.actions:
            release_action(run, uid, instance.uid)


def release_action(run: Run, uid: str, flow_uid: str) -> None:
    """`flow_uid` no longer needs the action; the last one to go stops it."""
    action = run.state.own_action(uid)
    action.owners = tuple(owner for owner in action.owners if owner != flow_uid)
    if action.owners:
        return
    if action.status not in _ENDED:
        if action.status != "stopping":
            action.status = "stopping"
            run.emit(f"Stop{action.name}", {"action_uid": uid}, flow_uid)
    else:
        run.state.ended += 1


def note_event(run: Run, signal: Signal) -> None:
    """Update the action that an event from outside is about; of one that has finished nothing changes any more."""
    uid = signal.arguments.get("action_uid")
    if not isinstance(uid, str):
        return
    signal.action_uid = uid
    stage = _stage(signal.name)
    if stage is None:
        return
    if uid not in run.state.actions:
        if stage != "started":
            return
        action = Action(uid, signal.name[: -len("Started")], {}, None)
        action.owner = run.state.token
        run.state.actions[uid] = action
    if run.state.actions[uid].over:
        return
    action = run.state.own_action(uid)
    action.context.update(signal.arguments)
    if stage != "updated":
        action.status = stage
    if stage == "finished" and not action.owners:
        run.state.ended += 1


_STAGES = {f"{_MARK}{stage.capitalize()}": stage for stage in ("started", "updated", "finished")}


def _stage(name: str) -> str | None:
    """Started, updated or finished, for the events that the outside sends about an action.

    News of one parameter (`LampActionBrightUpdated`) may be waited for, and changes no attribute of the action.
    """
    return next((stage for ending, stage in _STAGES.items() if name.endswith(ending)), None)
