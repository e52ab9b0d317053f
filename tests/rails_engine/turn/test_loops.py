"""What belongs to one event loop: connections, locks, and actions that outlive their call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
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


# --- synchronous calls inside of a running loop ---------------------------------------------------------------------


def answering(*answers: str, colang: str | None = None) -> LLMRails:
    config = RailsConfig.from_content(colang, config={"models": []})
    return LLMRails(config, llm=FakeLLMModel(responses=list(answers)))


async def test_a_synchronous_call_in_a_loop_names_the_method_to_await() -> None:
    with pytest.raises(RuntimeError, match="generate_async"):
        answering("hi").generate("q")


async def test_a_loop_that_was_patched_for_it_may_be_blocked() -> None:
    asyncio.get_running_loop()._nest_patched = True  # type: ignore[attr-defined]  # as nest_asyncio leaves it
    rails = answering("one", "two")
    assert [rails.generate("q"), await rails.generate_async("q")] == ["one", "two"]


@pytest.mark.parametrize(("value", "blocks"), [("false", True), ("0", True), ("true", False), ("1", False)])
async def test_the_environment_may_let_loops_be_blocked(
    monkeypatch: pytest.MonkeyPatch, value: str, blocks: bool
) -> None:
    monkeypatch.setenv("DISABLE_NEST_ASYNCIO", value)
    with nullcontext() if blocks else pytest.raises(RuntimeError):
        assert answering("hi").generate("q") == "hi"


def test_an_action_may_call_back_synchronously(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_NEST_ASYNCIO", "false")
    rails = answering(
        "  ask",
        colang='define user ask\n  "q"\ndefine flow\n  user ask\n  $x = execute ask_again\n  bot $x\n',
    )

    async def ask_again() -> str:
        return f"they say {answering('hi').generate('q')}"

    rails.register_action(ask_again)
    assert rails.generate("q") == "they say hi"
