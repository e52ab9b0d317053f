"""Which containers of a state are its own: those in reach are copied before the first change in place (`colang.copying`)."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from colang.copying import Copier
from colang.machine.signal import Signal
from colang.machine.state import State


def unshare(state: State, queue: Iterable[Signal], container: Any, foreign: Container[int]) -> Any:
    """Make the state the only owner of its containers; returns what `container` has become.

    `foreign` are the identities of containers that never are the state's own.
    """
    if state.owns_values and id(container) not in foreign:
        return container
    state.owns_values = True
    copier = Copier()
    for shared in state.in_order():
        instance = state.own(shared.uid)
        instance.locals = copier.mapping(instance.locals)
        instance.arguments = copier.mapping(instance.arguments)
    for uid in list(state.actions):
        action = state.own_action(uid)
        action.arguments = copier.mapping(action.arguments)
        action.context = copier.mapping(action.context)
    state.globals = copier.mapping(state.globals)
    for signal in queue:
        signal.arguments = copier.mapping(signal.arguments)
    return copier.copy(container)
