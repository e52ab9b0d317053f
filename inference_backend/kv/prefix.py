"""Blocks found again by what they hold.

Names are 16-byte BLAKE2b digests chained over blocks: name(i) = H(name(i - 1), tokens of block i), name(-1) = H(salt).
A digest rather than Python's hash: a collision would show one tenant's keys and values to another's query.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from inference_backend.errors import InvariantError, ResourceError
from inference_backend.kv.blocks import BlockPool

_DIGEST = 16


def root_hash(*salts: str) -> bytes:
    """The name before the first block; distinct for distinct tuples of salts."""
    text = "\0".join(f"{len(salt)}:{salt}" for salt in salts)
    return blake2b(text.encode(), digest_size=_DIGEST).digest()


def chain_hash(before: bytes, tokens: bytes) -> bytes:
    """The name of a full block whose int32 tokens are these bytes."""
    return blake2b(before + tokens, digest_size=_DIGEST).digest()


class PrefixCache:
    """The block pool, with names for full blocks; what sequences take blocks from and give them back to."""

    def __init__(self, blocks: int) -> None:
        self._pool = BlockPool(blocks)
        self._named: dict[bytes, int] = {}
        self._names: dict[int, bytes] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()

    @property
    def size(self) -> int:
        """Blocks in all."""
        return self._pool.size

    @property
    def available(self) -> int:
        """Blocks that `take` can give, evicting where needed."""
        return self._pool.free + len(self._idle)

    @property
    def used(self) -> int:
        """Blocks that sequences hold."""
        return self.size - self.available

    def match(self, names: Iterable[bytes]) -> list[int]:
        """The longest run of blocks that bear these names from the first on. Takes no reference."""
        found = []
        for name in names:
            block = self._named.get(name)
            if block is None:
                break
            found.append(block)
        return found

    def idle(self, blocks: Iterable[int]) -> int:
        """How many of these blocks nobody holds: sharing them uses up as much of `available`."""
        return sum(block in self._idle for block in blocks)

    def share(self, blocks: Iterable[int]) -> None:
        """One more reference to each."""
        for block in blocks:
            self._idle.pop(block, None)
            self._pool.share(block)

    def take(self, count: int) -> list[int]:
        """Blocks of unknown content, each with one reference; all of them or none.

        Raises:
            ResourceError: fewer are available.
        """
        if count > self.available:
            raise ResourceError(f"{count} KV blocks are needed, {self.available} are available")
        while self._pool.free < count:
            self._evict()
        return [self._pool.take() for _ in range(count)]

    def name(self, block: int, name: bytes) -> None:
        """Let later sequences find a held block. The first block of a name keeps it; a block has one name."""
        if name not in self._named and block not in self._names:
            self._named[name] = block
            self._names[block] = name

    def forget(self, blocks: Iterable[int]) -> None:
        """Take the names of held blocks away: their content is not to be trusted."""
        for block in blocks:
            name = self._names.pop(block, None)
            if name is not None:
                del self._named[name]

    def release(self, blocks: Sequence[int]) -> None:
        """Give references back, last block first, so that the end of a prefix is evicted before its start."""
        for block in reversed(blocks):
            if not self._pool.drop(block):
                continue
            if block in self._names:
                self._idle[block] = None
            else:
                self._pool.free_block(block)

    def _evict(self) -> None:
        block, _ = self._idle.popitem(last=False)
        del self._named[self._names.pop(block)]
        self._pool.free_block(block)

    def check(self) -> None:
        """The pool's invariants, names one to one, and idle blocks named.

        Raises:
            InvariantError: it is not so.
        """
        self._pool.check(set(self._idle))
        if {block: name for name, block in self._named.items()} != self._names:
            raise InvariantError("names and blocks of the prefix cache disagree")
        if any(block not in self._names or self._pool.references(block) for block in self._idle):
            raise InvariantError("an idle KV block has no name or a holder")

    def references(self, block: int) -> int:
        """How many sequences hold a block."""
        return self._pool.references(block)
