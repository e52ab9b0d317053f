"""What always holds between two steps."""

from __future__ import annotations

from collections import Counter

from colang.errors import ColangStateError
from colang.machine.state import RUNNING, Instance, Place, State, Status


def check_state(state: State) -> None:
    """Look through the whole state.

    Raises:
        ColangStateError: something does not hold; the message says what.
    """
    _require(state.main in state.instances, "main is missing")
    _check_index(state)
    _check_loops(state)
    for uid, instance in state.instances.items():
        _require(uid == instance.uid, f"{uid} is filed under another uid")
        _check_family(state, instance)
        _check_heads(instance)
    for flow_id, uids in state.flows.items():
        for uid in uids:
            _require(uid in state.instances, f"{flow_id} lists {uid}, which is gone")


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ColangStateError(message)


def _check_index(state: State) -> None:
    filed = Counter((head, entry) for entry, head in state.index.entries())
    waiting = Counter(
        ((instance.uid, head.number), entry)
        for instance in state.instances.values()
        for head in instance.heads.values()
        for entry in head.entries
    )
    _require(
        filed == waiting, f"index and heads differ: {sorted(map(str, filed - waiting + (waiting - filed)))}"
    )


def _check_loops(state: State) -> None:
    loops = Counter(each.loop_id for each in state.instances.values() if each.status in RUNNING)
    _require(dict(loops) == state.loops, f"loops are counted as {state.loops}, but run as {dict(loops)}")


def _check_family(state: State, instance: Instance) -> None:
    for uid in instance.children:
        _require(uid in state.instances, f"{instance.uid} has the child {uid}, which is gone")
        _require(
            instance.uid in state.instances[uid].parents, f"{uid} does not know its parent {instance.uid}"
        )
    for uid in instance.actions:
        action = state.actions.get(uid)
        _require(
            action is not None and instance.uid in action.owners, f"{instance.uid} does not own action {uid}"
        )
    if instance.status in RUNNING:
        listed = state.flows.get(instance.flow.flow_id) or ()
        _require(instance.uid in listed, f"{instance.uid} runs but is not listed by name")
        _require(
            not instance.parents
            or any(instance.uid in state.instances[p].children for p in instance.parents),
            f"{instance.uid} is an orphan",
        )


def _check_heads(instance: Instance) -> None:
    ended = instance.status in {Status.FINISHED, Status.STOPPED, Status.WAITING}
    _require(not (ended and instance.heads), f"{instance.uid} has ended but has heads")
    for number, head in instance.heads.items():
        _require(number == head.number, f"head {number} of {instance.uid} is filed under another number")
        _require(head.pc < len(instance.flow.code), f"head {number} of {instance.uid} is behind the end")
        _require(head.parent is None or head.parent in instance.heads, f"head {number} lost its parent")
        _require(
            head.place in {Place.WAITING, Place.COLLECTING, Place.ASLEEP},
            f"head {number} of {instance.uid} was left {head.place.name}",
        )
        _require(head.place is Place.WAITING or not head.entries, f"head {number} is filed but does not wait")
