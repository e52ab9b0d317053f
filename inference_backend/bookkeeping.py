"""What must hold between two steps, whatever has happened: blocks, slots and sequences agree."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Several

from inference_backend.errors import InvariantError
from inference_backend.kv import PrefixCache
from inference_backend.sequence import Phase, Sequence


def check_blocks(cache: PrefixCache, running: Several[Sequence], block_size: int) -> None:
    """Every block's references are its holders, and holders have the blocks they need.

    Raises:
        InvariantError: they are not.
    """
    cache.check()
    counts: dict[int, int] = {}
    for sequence in running:
        for block in sequence.blocks:
            counts[block] = counts.get(block, 0) + 1
        _check_running(sequence, block_size)
    if any(cache.references(block) != count for block, count in counts.items()):
        raise InvariantError("a KV block's reference count is not the number of its holders")
    if len(counts) != cache.used:
        raise InvariantError("a KV block is held by no sequence")


def check_places(
    running: Several[Sequence], waiting: Iterable[Sequence], free_slots: list[int], slots: int
) -> None:
    """Each of the slots is free or has one running sequence; who waits holds nothing.

    Raises:
        InvariantError: it is not so.
    """
    taken = [sequence.slot for sequence in running]
    if sorted([*taken, *free_slots]) != list(range(slots)):
        raise InvariantError("a slot is lost or given twice")
    if any(sequence.phase is not Phase.WAITING or sequence.blocks for sequence in waiting):
        raise InvariantError("a waiting sequence holds blocks")


def _check_running(sequence: Sequence, block_size: int) -> None:
    if sequence.phase is not Phase.RUNNING:
        raise InvariantError("a sequence is in the running list, but does not run")
    if sequence.computed > len(sequence.blocks) * block_size:
        raise InvariantError("a sequence has computed tokens without a block")
    if sequence.computed > sequence.total and not sequence.verifying:
        raise InvariantError("a sequence has computed more tokens than there are")
    if not 0 <= sequence.pending <= 2:
        raise InvariantError("a sequence waits for more tokens than two steps can sample")
