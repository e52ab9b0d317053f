"""A pool of numbered blocks with reference counts."""

from __future__ import annotations

from inference_backend.errors import InvariantError, ResourceError


class BlockPool:
    """Blocks 0 to n - 1. A block is free (no reference, in the free list) or held (one reference or more).

    A third state, idle, belongs to the prefix cache: no reference, but kept out of the free list for its content.
    """

    def __init__(self, blocks: int) -> None:
        self.size = blocks
        self._references = [0] * blocks
        self._free = list(range(blocks - 1, -1, -1))

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free)

    def references(self, block: int) -> int:
        """How many hold a block."""
        return self._references[block]

    def take(self) -> int:
        """A free block, now with one reference.

        Raises:
            ResourceError: no block is free.
        """
        if not self._free:
            raise ResourceError("no KV block is free")
        block = self._free.pop()
        self._references[block] = 1
        return block

    def share(self, block: int) -> None:
        """One more reference; an idle block becomes held."""
        self._references[block] += 1

    def drop(self, block: int) -> bool:
        """One reference less; True if it was the last. The caller then calls `free_block` or keeps the block idle.

        Raises:
            InvariantError: nobody holds the block.
        """
        if self._references[block] <= 0:
            raise InvariantError(f"KV block {block} was released more often than it was taken")
        self._references[block] -= 1
        return self._references[block] == 0

    def free_block(self, block: int) -> None:
        """Back into the free list; the block must have no reference."""
        self._free.append(block)

    def check(self, idle: set[int]) -> None:
        """Every block is free, held or idle, and only one of them.

        Raises:
            InvariantError: it is not so.
        """
        free = set(self._free)
        if len(free) != len(self._free):
            raise InvariantError("a KV block is in the free list twice")
        held = {block for block, count in enumerate(self._references) if count}
        if free & held or free & idle or held & idle:
            raise InvariantError("a KV block is in two states at once")
        if len(free) + len(held) + len(idle) != self.size:
            raise InvariantError("a KV block is lost")
