"""Forgetting what has ended.

An ended instance or action stays readable through the variables that refer to it. When many have ended, everything
that no variable, parent or scope leads to is dropped; the next sweep is due when as many have ended again as are
left, so that sweeping costs a constant amount per flow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from colang.machine.run import Run
from colang.machine.state import RUNNING, Instance, State
from colang.values import ActionRef, EventRef, FlowRef

_LEAST = 64


def sweep(run: Run) -> None:
    """Drop ended instances and actions that nothing refers to, if it is time."""
    state = run.state
    if state.ended < state.sweep_at:
        return
    reached = _Reached(state)
    reached.follow()
    for instance in state.in_order():
        if instance.uid not in reached.flows:
            del state.instances[instance.uid]
    state.actions = {uid: each for uid, each in state.actions.items() if uid in reached.actions}
    state.ended = 0
    state.sweep_at = max(_LEAST, len(state.instances) + len(state.actions))


class _Reached:
    """What can be reached from running flows and global variables."""

    def __init__(self, state: State) -> None:
        self.flows: set[str] = set()
        self.actions: set[str] = set()
        self._state = state
        self._seen: set[int] = set()
        self._pending: list[Any] = list(state.globals.values())
        for uid, instance in state.instances.items():
            anchors = instance.activated and instance.reference is None
            if instance.status in RUNNING or anchors or uid == state.main:
                self._pending.append(FlowRef(uid))

    def follow(self) -> None:
        """Note everything that can be reached from the roots; iterative, since values may nest as deep as memory goes."""
        while self._pending:
            value = self._pending.pop()
            if isinstance(value, FlowRef):
                self._flow(value.uid)
            elif isinstance(value, ActionRef):
                self._action(value.uid)
            elif isinstance(value, EventRef):
                self._event(value)
            elif isinstance(value, (list, tuple, set, dict)) and id(value) not in self._seen:
                self._seen.add(id(value))
                self._pending += value.values() if isinstance(value, dict) else value

    def _flow(self, uid: str) -> None:
        instance = self._state.instances.get(uid)
        if uid in self.flows or instance is None:
            return
        self.flows.add(uid)
        self._pending += _values(instance)
        self._pending += [FlowRef(other) for other in (*instance.children, instance.reference) if other]
        self._pending += [ActionRef(other) for other in instance.actions]

    def _action(self, uid: str) -> None:
        action = self._state.actions.get(uid)
        if uid in self.actions or action is None:
            return
        self.actions.add(uid)
        self._pending += (*action.arguments.values(), *action.context.values())

    def _event(self, event: EventRef) -> None:
        self._pending += event.arguments.values()
        if event.flow_uid:
            self._pending.append(FlowRef(event.flow_uid))
        if event.action_uid:
            self._pending.append(ActionRef(event.action_uid))


def _values(instance: Instance) -> Iterable[Any]:
    yield from instance.locals.values()
    yield from instance.arguments.values()
    if instance.shares:
        yield FlowRef(instance.shares)
