"""The cache of users' own code: what goes first, what is counted, what is computed once."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemoguardrails.llm.cache import CacheInterface, LFUCache


def test_the_least_used_goes_first_and_of_equals_the_oldest() -> None:
    cache = LFUCache(3)
    for key in "abc":
        cache.put(key, key.upper())
    cache.get("a")
    cache.put("b", "changed")
    cache.put("d", "D")
    assert [cache.contains(key) for key in "abcd"] == [True, True, False, True]
    assert (cache.get("b"), cache.get("c"), cache.get("c", 9), cache.size(), cache.maxsize) == (
        "changed",
        None,
        9,
        3,
        3,
    )
    equals = LFUCache(2)
    for key in "abc":
        equals.put(key, key)
    assert [equals.contains(key) for key in "abc"] == [False, True, True]


@given(st.integers(0, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 6))))
def test_it_agrees_with_counting(size: int, steps: list[tuple[bool, int]]) -> None:
    cache = LFUCache(size)
    uses: Counter[int] = Counter()
    last: dict[int, int] = {}
    for moment, (write, key) in enumerate(steps):
        if write:
            if key not in uses and size and len(uses) == size:
                loser = min(uses, key=lambda known: (uses[known], last[known]))
                del uses[loser]
            if size:
                uses[key] += 1
                last[key] = moment
            cache.put(key, key)
        else:
            assert cache.get(key, "none") == (key if key in uses else "none")
            if key in uses:
                uses[key] += 1
                last[key] = moment
    assert {key for key in range(7) if cache.contains(key)} == set(uses)


def test_a_cache_counts_hits_misses_and_what_it_dropped() -> None:
    cache = LFUCache(maxsize=2, track_stats=True)
    cache.put("a", 1)
    cache.put("a", 2)
    cache.put("b", 1)
    cache.put("c", 1)
    cache.get("a")
    cache.get("q")
    cache.contains("q")
    assert cache.get_stats() == {
        "hits": 1, "misses": 1, "evictions": 1, "puts": 3, "updates": 1, "hit_rate": 0.5, "current_size": 2, "maxsize": 2,
    }  # fmt: skip
    cache.reset_stats()
    assert (cache.get_stats()["puts"], cache.get_stats()["current_size"]) == (0, 2)
    cache.clear()
    assert (cache.get_stats()["evictions"], cache.is_empty()) == (2, True)
    assert LFUCache(2).get_stats() == {"message": "Statistics tracking is disabled"}


def test_a_cache_of_no_size_keeps_nothing_and_a_negative_size_is_refused() -> None:
    nothing = LFUCache(0)
    nothing.put("a", 1)
    assert (nothing.get("a"), nothing.size()) == (None, 0)
    with pytest.raises(ValueError, match="Capacity must be non-negative"):
        LFUCache(-1)


def test_counts_are_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    cache = LFUCache(3, True, 0.0)
    cache.put("a", 1)
    cache.get("a")
    assert "1 of 3 entries, 1 hits, 0 misses (100 % hit)" in caplog.text
    assert cache.supports_stats_logging()
    assert not LFUCache(3, False, 5.0).supports_stats_logging()


async def test_a_value_is_computed_once_for_all_who_ask() -> None:
    cache, computed = LFUCache(3), []

    async def compute() -> int:
        await asyncio.sleep(0.01)
        computed.append(1)
        return 7

    assert await asyncio.gather(*(cache.get_or_compute("k", compute) for _ in range(3))) == [7, 7, 7]
    assert (await cache.get_or_compute("k", compute), len(computed)) == (7, 1)


async def test_the_default_stands_in_for_what_cannot_be_computed() -> None:
    cache = LFUCache(3)

    async def fail() -> int:
        raise ValueError("no")

    assert await cache.get_or_compute("k", fail, default="d") == "d"
    assert not cache.contains("k")


async def test_users_write_caches_of_their_own() -> None:
    class Plain(CacheInterface):
        def __init__(self) -> None:
            self.values: dict[Any, Any] = {}

        def get(self, key: Any, default: Any = None) -> Any:
            return self.values.get(key, default)

        def put(self, key: Any, value: Any) -> None:
            self.values[key] = value

        def size(self) -> int:
            return len(self.values)

        def is_empty(self) -> bool:
            return not self.values

        def clear(self) -> None:
            self.values.clear()

        @property
        def maxsize(self) -> int:
            return 10

    cache = Plain()

    async def compute() -> int:
        return 5

    assert [await cache.get_or_compute("k", compute) for _ in range(2)] == [5, 5]
    assert (cache.contains("k"), cache.contains("q"), cache.supports_stats_logging()) == (True, False, False)
    assert "not supported" in cache.get_stats()["message"]
