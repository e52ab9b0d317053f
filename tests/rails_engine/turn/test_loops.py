"""What belongs to one event loop: connections, locks, and actions that outlive their call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from rails_engine import engine
from rails_engine.loops import PerLoop
from tests.rails_engine.turn.test_background_actions import POLL, Slow, opened


@contextmanager
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    try:
        yield made
    finally:
        for task in asyncio.all_tasks(made):
            task.cancel()
        made.run_until_complete(asyncio.sleep(0))
        made.close()


def test_each_loop_has_one_thing_which_goes_when_the_loop_has_closed() -> None:
    made, discarded = [], []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    things = PerLoop(make, discarded.append)

    async def get() -> int:
        return things.get()

    with loop() as first, loop() as second:
        assert [run.run_until_complete(get()) for run in (first, second, first)] == [0, 1, 0]
    assert discarded == []
    with loop() as third:
        assert third.run_until_complete(get()) == 2
    assert sorted(discarded) == [0, 1]


def test_nothing_waits_for_an_action_of_a_loop_that_runs_no_more() -> None:
    app = opened(Slow())
    with loop() as first, loop() as second:
        _, state = first.run_until_complete(app.process_events_async([{"type": "Work"}]))
        events, _ = second.run_until_complete(app.process_events_async([POLL], state, blocking=True))
        assert [event["counter"] for event in events if event["type"] == "LocalAsyncCounter"] == [0]


async def test_of_too_many_conversations_with_actions_on_their_way_the_oldest_gives_its_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "WAITING_BOUND", 1)
    slow = Slow()
    app = opened(slow)
    states = [(await app.process_events_async([{"type": "Work"}]))[1] for _ in range(2)]
    slow.gate.set()
    done = []
    for state in states:
        events, _ = await app.process_events_async([POLL], state, blocking=True)
        done.append([event["v"] for event in events if event["type"] == "Done"])
    assert done == [[], ["it"]]
    await app.aclose()
