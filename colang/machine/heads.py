"""Heads: how they fork, die, fail and come together again."""

from __future__ import annotations

from collections.abc import Iterator

from colang.machine.lifecycle import fail
from colang.machine.run import Run
from colang.machine.signal import Scores
from colang.machine.state import Head, Instance, Place


def fork(run: Run, instance: Instance, head: Head, targets: tuple[int, ...]) -> list[Head]:
    """Put `head` to sleep and make one child for each target."""
    head.place = Place.ASLEEP
    children = []
    for target in targets:
        child = instance.new_head(target)
        child.parent = head.number
        child.scores = head.scores
        child.handlers = head.handlers
        child.scope = head.scope
        children.append(child)
    run.count(instance.flow.flow_id)
    return children


def below(instance: Instance, number: int) -> Iterator[Head]:
    """All heads that descend from head `number`."""
    for head in list(instance.heads.values()):
        if head.parent == number:
            yield head
            yield from below(instance, head.number)


def kill_below(run: Run, instance: Instance, number: int) -> None:
    """End all heads that were forked from a head, and those forked from them."""
    for head in list(below(instance, number)):
        run.unfile(instance, head)
        run.sending.pop((instance.uid, head.number), None)
        run.merging.pop((instance.uid, head.number), None)
        instance.heads.pop(head.number, None)


def revive(run: Run, instance: Instance, head: Head, pc: int, scores: Scores) -> Head:
    """`head` goes on at `pc`; everything below it dies."""
    kill_below(run, instance, head.number)
    run.unfile(instance, head)
    run.sending.pop((instance.uid, head.number), None)
    head.place = Place.MOVING
    head.pc = pc
    head.scores = scores
    return head


def fail_head(run: Run, instance: Instance, head: Head, scores: Scores, *, lost: bool = False) -> Head | None:
    """Send the head's branch to its handler; without one the flow fails. Returns the head to slide.

    An activated flow that fails of itself before it has waited for anything would do so for ever: it is not started
    again. One that lost a conflict is.
    """
    if not head.handlers:
        fail(run, instance, scores, again=lost or instance.waited)
        return None
    target, owner = head.handlers[-1]
    return revive(run, instance, instance.heads[owner], target, scores)


def collect(run: Run, instance: Instance, head: Head, count: int) -> Head | None:
    """Count this arrival; the one that completes the number lets the parent go on."""
    parent = head.parent
    if parent is None:
        return head
    head.place = Place.COLLECTING
    here = [
        other
        for other in instance.heads.values()
        if other.parent == parent and other.place is Place.COLLECTING and other.pc == head.pc
    ]
    if len(here) < count:
        return None
    return revive(run, instance, instance.heads[parent], head.pc + 1, head.scores)


def merge_next(run: Run) -> tuple[Instance, Head]:
    """Let the best arrival of the fork that has waited longest win; returns the parent, which goes on."""
    uid, number = next(iter(run.merging))
    del run.merging[(uid, number)]
    instance = run.state.own(uid)
    arrived = [
        head for head in instance.heads.values() if head.parent == number and head.place is Place.MERGING
    ]
    winner = best(run, arrived)
    return instance, revive(run, instance, instance.heads[number], winner.pc + 1, winner.scores)


def best(run: Run, heads: list[Head]) -> Head:
    """The head with the greatest score list, lists padded with 1.0; exact ties are drawn."""
    longest = max(len(head.scores) for head in heads)
    first = max(heads, key=lambda head: pad(head.scores, longest))
    # Unpadded: a shorter chain that is only equal when padded came first, and `max` has kept it.
    equal = [head for head in heads if head.scores == first.scores]
    return equal[0] if len(equal) == 1 else equal[int(run.state.random.unit() * len(equal))]


def pad(scores: Scores, length: int) -> Scores:
    """Scores made as long as others, so that the two compare: what a chain lacks counts as a perfect match."""
    return scores + (1.0,) * (length - len(scores))
