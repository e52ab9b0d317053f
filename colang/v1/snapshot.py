"""A conversation of Colang 1.0 as plain data, and back.

Variables keep what JSON can hold; a handle that only actions can read is left out. Lists may be shared, here they are
written as often as they are met, so that one that describes more than it holds is refused. Flows that were generated
in the conversation are saved as text, so that it can go on inside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colang.errors import ColangError, ColangStateError, ColangValueError
from colang.expressions import check_size
from colang.v1.definitions import flow_of_body
from colang.v1.elements import FlowCode, Jump, JumpUnless, SetVariable
from colang.v1.moves import Standing
from colang.v1.program import Program
from colang.v1.state import Instance, State, Status

_BETWEEN_STEPS = frozenset({Status.ACTIVE, Status.INTERRUPTED})
_LEFT_OUT = object()


def snapshot_of(state: State) -> dict[str, Any]:
    """The state as values of JSON.

    Raises:
        ColangStateError: a variable is too large to be written, or contains itself.
    """
    return {
        "instances": [
            {
                "uid": each.uid,
                "flow": each.flow,
                "head": each.head,
                "status": each.status.value,
                "interrupted_by": each.interrupted_by,
            }
            for each in state.instances
        ],
        "variables": _variables(state.variables),
        "pending": _variables(state.pending),
        "added": {name: code.text for name, code in state.added.items()},
    }


def restore(program: Program, data: Mapping[str, Any]) -> State:
    """The state that `snapshot_of` wrote.

    Raises:
        ColangStateError: the data is no snapshot, or one of another program.
    """
    try:
        state = State(
            Standing(tuple(_instance(each) for each in data["instances"])),
            variables=dict(data["variables"]),
            pending=dict(data["pending"]),
            added={str(name): flow_of_body(str(name), str(text)) for name, text in data["added"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError, ColangError) as error:
        raise ColangStateError(f"this is no saved conversation of Colang 1.0: {error}") from error
    check_state(program, state)
    return state


def check_state(program: Program, state: State) -> None:
    """What holds between two steps.

    Raises:
        ColangStateError: something of it does not.
    """
    uids = [each.uid for each in state.instances]
    if uids != list(range(1, len(uids) + 1)):
        raise ColangStateError("the flows under way are not numbered by their places")
    for each in state.instances:
        code = program.flows.get(each.flow) or state.added.get(each.flow)
        if code is None:
            raise ColangStateError(f"flow `{each.flow}` is under way, and the program has no such flow")
        _check_instance(each, code)


def _check_instance(instance: Instance, code: FlowCode) -> None:
    if instance.status not in _BETWEEN_STEPS:
        raise ColangStateError(f"flow `{code.name}` is {instance.status.value} and still there")
    if not 0 <= instance.head <= len(code.elements):
        raise ColangStateError(
            f"flow `{code.name}` stands at element {instance.head} of {len(code.elements)}"
        )
    if instance.status is Status.ACTIVE:
        if instance.head == len(code.elements):
            raise ColangStateError(f"flow `{code.name}` is at its end and still active")
        if isinstance(code.elements[instance.head], Jump | JumpUnless | SetVariable):
            raise ColangStateError(f"flow `{code.name}` stopped in the middle of a slide")


def _instance(data: Mapping[str, Any]) -> Instance:
    by = data["interrupted_by"]
    return Instance(
        uid=int(data["uid"]),
        flow=str(data["flow"]),
        head=int(data["head"]),
        status=Status(data["status"]),
        interrupted_by=None if by is None else int(by),
    )


def _variables(values: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        try:
            check_size(value)
        except ColangValueError as error:
            raise ColangStateError(f"the variable ${name} cannot be saved: {error}") from None
    pairs = ((name, _plain(value)) for name, value in values.items())
    return {name: value for name, value in pairs if value is not _LEFT_OUT}


def _plain(value: object) -> Any:
    """The value as JSON can hold it, or the mark of what it cannot."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        pairs = ((str(key), _plain(item)) for key, item in value.items())
        return {key: item for key, item in pairs if item is not _LEFT_OUT}
    if isinstance(value, list | tuple | set | frozenset):
        return [item for item in map(_plain, value) if item is not _LEFT_OUT]
    return _LEFT_OUT
