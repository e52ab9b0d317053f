"""A time limit: what it lets through, what it ends, and that what never waits never meets it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from rails_engine.actions import Action, ActionRunner
from rails_engine.errors import ActionTimeoutError


async def within(limit_s: float, work: Any) -> Any:
    """What an action gives that waits for `work`."""

    async def act() -> Any:
        return await work

    return (await ActionRunner(1).run(Action("act", act), {}, {}, limit_s)).value


async def waits(seconds: float, answer: str) -> str:
    await asyncio.sleep(0)
    await asyncio.sleep(seconds)
    return answer


async def answers(answer: str) -> str:
    return answer


async def fails(error: Exception) -> str:
    raise error


async def fails_later(error: Exception) -> str:
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize("work", [answers("yes"), waits(0.001, "yes")], ids=["at once", "later"])
def test_what_ends_in_time_gives_its_result(work: Any) -> None:
    assert asyncio.run(within(5.0, work)) == "yes"


def test_what_goes_on_for_too_long_is_cancelled() -> None:
    ended: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    with pytest.raises(ActionTimeoutError):
        asyncio.run(within(0.01, stubborn()))
    assert ended == ["cancelled"]


@pytest.mark.parametrize("work", [fails, fails_later])
@pytest.mark.parametrize("error", [ValueError("broken"), TimeoutError("its own")])
def test_errors_of_the_work_come_through(work: Any, error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        asyncio.run(within(5.0, work(error)))


def test_a_cancelled_caller_cancels_the_work() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("over")

    async def cancelled() -> bool:
        task = asyncio.ensure_future(within(60.0, work()))
        await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task})
        return done.pop().cancelled()

    assert asyncio.run(cancelled())
    assert ended == ["over"]


def test_what_never_waits_sets_no_timer() -> None:
    async def timers() -> int:
        loop: Any = asyncio.get_running_loop()
        for _ in range(100):
            await within(60.0, answers("yes"))
        return len(loop._scheduled)

    assert asyncio.run(timers()) == 0


def test_what_comes_too_late_is_not_taken() -> None:
    async def swallows() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "allowed"
        return "never"

    with pytest.raises(ActionTimeoutError):
        asyncio.run(within(0.01, swallows()))


async def beside(busy_s: float, work: Any) -> Any:
    """What `work` gives while somebody else has the processor for so many seconds in every round of the loop."""

    async def hog() -> None:
        while True:
            time.sleep(busy_s)  # noqa: ASYNC251 -- it is the loop that is to be kept busy
            await asyncio.sleep(0)

    other = asyncio.ensure_future(hog())
    try:
        return await work
    finally:
        other.cancel()


def test_waiting_for_others_to_leave_the_processor_does_not_count() -> None:
    async def rounds() -> str:
        for _ in range(4):
            await asyncio.sleep(0)
        return "yes"

    assert asyncio.run(beside(0.2, within(0.5, rounds()))) == "yes"


def test_what_keeps_the_processor_to_itself_meets_its_limit() -> None:
    async def hogs() -> str:
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 -- as above
        return "allowed"

    with pytest.raises(ActionTimeoutError):
        asyncio.run(within(0.02, hogs()))


def test_what_never_ends_is_ended_however_busy_the_loop_is() -> None:
    with pytest.raises(ActionTimeoutError):
        asyncio.run(beside(0.05, within(0.02, asyncio.sleep(60))))
