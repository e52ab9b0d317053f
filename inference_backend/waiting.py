"""The line of sequences that wait for their first (or next) step: priorities, then fair shares.

Within one priority, tenants (requests of one cache salt) take turns by start-time fair queueing (Goyal et al., 1996):
each tenant has a virtual time that grows by the tokens it was admitted with; the smallest goes next, so a tenant with a
thousand waiting prompts does not delay another's first. Within a tenant, first come, first served. A sequence that was
preempted goes before all others of its priority: its caller is already reading.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from inference_backend.sequence import Sequence

_Tenant = str
_CLOCKS = 4096


@dataclass(slots=True)
class _Level:
    """The sequences of one priority."""

    preempted: list[tuple[int, int, Sequence]] = field(default_factory=list)
    lines: dict[_Tenant, list[tuple[int, int, Sequence]]] = field(default_factory=dict)


class WaitingLine:
    """Waiting sequences in the order in which they should start."""

    def __init__(self) -> None:
        self._levels: dict[int, _Level] = {}
        self._virtual: dict[_Tenant, int] = {}
        self._now = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Sequence]:
        for level in self._levels.values():
            for line in (level.preempted, *level.lines.values()):
                yield from (sequence for _, _, sequence in line)

    def push(self, sequence: Sequence) -> None:
        """Put a sequence behind those of its tenant, or, if it was preempted, before all tenants of its priority."""
        level = self._levels.setdefault(sequence.request.priority, _Level())
        tenant = sequence.request.cache_salt
        line = level.preempted if sequence.preemptions else level.lines.setdefault(tenant, [])
        heapq.heappush(line, (sequence.arrival, sequence.index, sequence))
        self._count += 1

    def first(self) -> Sequence | None:
        """Who should start next; stays in the line."""
        line = self._first_line()
        return line[0][2] if line else None

    def pop(self) -> Sequence:
        """Take the first out of the line and charge its tenant for its tokens."""
        line = self._first_line()
        sequence = heapq.heappop(line)[2]
        self._count -= 1
        self._charge(sequence)
        self._tidy(sequence)
        return sequence

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out wherever it stands, without charge."""
        level = self._levels[sequence.request.priority]
        for line in (level.preempted, *level.lines.values()):
            kept = [entry for entry in line if entry[2] is not sequence]
            if len(kept) < len(line):
                line[:] = kept
                heapq.heapify(line)
                self._count -= 1
        self._tidy(sequence)

    def _first_line(self) -> list[tuple[int, int, Sequence]]:
        if not self._levels:
            return []
        level = self._levels[min(self._levels)]
        if level.preempted:
            return level.preempted
        tenant = min(level.lines, key=lambda name: (self._start(name), level.lines[name][0][:2]))
        return level.lines[tenant]

    def _start(self, tenant: _Tenant) -> int:
        """A tenant that was away does not save up credit: it starts from now."""
        return max(self._virtual.get(tenant, 0), self._now)

    def _charge(self, sequence: Sequence) -> None:
        if sequence.preemptions:
            return
        tenant = sequence.request.cache_salt
        self._now = self._start(tenant)
        self._virtual[tenant] = self._now + len(sequence.tokens)

    def _tidy(self, sequence: Sequence) -> None:
        """Drop empty lines and levels, and the clocks of tenants that owe nothing: the tables stay bounded."""
        level = self._levels[sequence.request.priority]
        level.lines = {name: line for name, line in level.lines.items() if line}
        if not level.lines and not level.preempted:
            del self._levels[sequence.request.priority]
        if len(self._virtual) > _CLOCKS:
            self._virtual = {name: at for name, at in self._virtual.items() if at > self._now}
