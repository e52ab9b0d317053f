"""`LFUCache`: values by key, at most so many; the one used least often goes first, of several the one unused longest.

For users' own code, under the interface that it knows. The engine's models keep their answers in `cache`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from rails_engine.loops import PerLoop

log = logging.getLogger(__name__)

Compute: TypeAlias = Callable[[], Awaitable[Any]]


class CacheInterface(ABC):
    """What a cache of users has to offer; only the abstract part must be written."""

    @abstractmethod
    def get(self, key: Any, default: Any = None) -> Any:
        """The value of `key`, which is a use of it; `default` where there is none."""

    @abstractmethod
    def put(self, key: Any, value: Any) -> None:
        """Keep `value` under `key`; another may have to go for it."""

    @abstractmethod
    def size(self) -> int:
        """How many values are kept."""

    @abstractmethod
    def is_empty(self) -> bool:
        """Whether none is."""

    @abstractmethod
    def clear(self) -> None:
        """Keep nothing any more."""

    @property
    @abstractmethod
    def maxsize(self) -> int:
        """How many values are kept at most."""

    def contains(self, key: Any) -> bool:
        """Whether there is a value for `key`; looking is no use of it."""
        missing = object()
        return self.get(key, missing) is not missing

    def get_stats(self) -> dict[str, Any]:
        """Counts by name, where anything is counted; else a `message` that says so."""
        return {"message": "Statistics tracking is not supported by this cache implementation"}

    def reset_stats(self) -> None:  # noqa: B027 -- a cache that counts nothing has nothing to do
        """Count from nothing again, where anything is counted."""

    def supports_stats_logging(self) -> bool:
        """Whether counts go into the log by themselves."""
        return False

    def log_stats_now(self) -> None:  # noqa: B027 -- as above
        """Write the counts to the log, where anything is counted."""

    async def get_or_compute(self, key: Any, compute_fn: Compute, default: Any = None) -> Any:
        """The value of `key`, computed and kept if there is none; `default` where that fails, which is logged."""
        missing = object()
        found = self.get(key, missing)
        if found is not missing:
            return found
        try:
            value = await compute_fn()
        except Exception:  # users' code may raise anything, and the default stands in for it
            log.warning("a value for the cache could not be computed", exc_info=True)
            return default
        self.put(key, value)
        return value


@dataclass
class _Counts:
    hits: int = 0
    misses: int = 0
    evictions: int = 0
    puts: int = 0
    updates: int = 0

    @property
    def hit_rate(self) -> float:
        """Hits among all that was asked for, from 0 to 1."""
        return self.hits / (self.hits + self.misses) if self.hits else 0.0


class LFUCache(CacheInterface):
    """See the module. It may be used from several threads; one of no size keeps nothing.

    `stats_logging_interval` is in seconds and needs `track_stats`.

    Raises:
        ValueError: `maxsize` is negative.
    """

    def __init__(
        self, maxsize: int, track_stats: bool = False, stats_logging_interval: float | None = None
    ) -> None:
        if maxsize < 0:
            raise ValueError("Capacity must be non-negative")
        self._maxsize = maxsize
        self._counts = _Counts() if track_stats else None
        self._interval = stats_logging_interval if track_stats else None
        self._logged_at = time.monotonic()
        self._values: dict[Hashable, Any] = {}
        self._uses: dict[Hashable, int] = {}
        self._by_uses: defaultdict[int, OrderedDict[Hashable, None]] = defaultdict(OrderedDict)
        self._lock = threading.RLock()
        self._under_way: PerLoop[dict[Hashable, asyncio.Future[Any]]] = PerLoop(dict)

    @property
    def maxsize(self) -> int:
        """See `CacheInterface.maxsize`."""
        return self._maxsize

    def size(self) -> int:
        """See `CacheInterface.size`."""
        return len(self._values)

    def is_empty(self) -> bool:
        """See `CacheInterface.is_empty`."""
        return not self._values

    def contains(self, key: Any) -> bool:
        """See `CacheInterface.contains`."""
        return key in self._values

    def get(self, key: Any, default: Any = None) -> Any:
        """See `CacheInterface.get`."""
        with self._lock:
            found = key in self._values
            if self._counts is not None:
                self._counts.hits += found
                self._counts.misses += not found
            value = self._values[key] if found else default
            if found:
                self._used(key)
        self._log_now_and_then()
        return value

    def put(self, key: Any, value: Any) -> None:
        """Keep `value`; giving a known key another value is a use of it."""
        with self._lock:
            known = key in self._values
            if self._counts is not None:
                self._counts.updates += known
                self._counts.puts += not known
            if not known and len(self._values) >= self._maxsize and not self._made_room():
                return
            self._values[key] = value
            self._used(key)
        self._log_now_and_then()

    def _used(self, key: Hashable) -> None:
        uses = self._uses.get(key, 0)
        if uses:
            self._forget_uses(key, uses)
        self._uses[key] = uses + 1
        self._by_uses[uses + 1][key] = None

    def _forget_uses(self, key: Hashable, uses: int) -> None:
        alike = self._by_uses[uses]
        del alike[key]
        if not alike:
            del self._by_uses[uses]

    def _made_room(self) -> bool:
        if not self._values:
            return False
        fewest = min(self._by_uses)
        key = next(iter(self._by_uses[fewest]))
        self._forget_uses(key, self._uses.pop(key))
        del self._values[key]
        if self._counts is not None:
            self._counts.evictions += 1
        return True

    def clear(self) -> None:
        """Keep nothing; what was kept counts as evicted."""
        with self._lock:
            if self._counts is not None:
                self._counts.evictions += len(self._values)
            self._values.clear()
            self._uses.clear()
            self._by_uses.clear()

    async def get_or_compute(self, key: Any, compute_fn: Compute, default: Any = None) -> Any:
        """As `CacheInterface.get_or_compute`; who asks while it is computed waits for it."""
        if key in self._values:
            return self.get(key, default)
        under_way = self._under_way.get()
        waited_for = under_way.get(key)
        if waited_for is not None:
            return await asyncio.shield(waited_for)
        future = under_way[key] = asyncio.get_running_loop().create_future()
        value = default
        try:
            value = await super().get_or_compute(key, compute_fn, default)
        finally:
            del under_way[key]
            future.set_result(value)
        return value

    # --- counts ---

    def get_stats(self) -> dict[str, Any]:
        """Counts, their rate, and how full the cache is."""
        if self._counts is None:
            return {"message": "Statistics tracking is disabled"}
        with self._lock:
            rate = self._counts.hit_rate
            return {
                **asdict(self._counts),
                "hit_rate": rate,
                "current_size": self.size(),
                "maxsize": self._maxsize,
            }

    def reset_stats(self) -> None:
        """See `CacheInterface.reset_stats`."""
        if self._counts is not None:
            self._counts = _Counts()

    def supports_stats_logging(self) -> bool:
        """See `CacheInterface.supports_stats_logging`."""
        return self._interval is not None

    def log_stats_now(self) -> None:
        """See `CacheInterface.log_stats_now`."""
        counts = self._counts
        if counts is not None:
            log.info(
                "LFU cache: %d of %d entries, %d hits, %d misses (%.0f %% hit), %d evicted, %d put, %d updated",
                *(self.size(), self._maxsize, counts.hits, counts.misses, counts.hit_rate * 100),
                *(counts.evictions, counts.puts, counts.updates),
            )
            self._logged_at = time.monotonic()

    def _log_now_and_then(self) -> None:
        if self._interval is not None and time.monotonic() - self._logged_at >= self._interval:
            self.log_stats_now()
