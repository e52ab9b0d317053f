"""A rail of the user's own whose action does its worst: the turn ends, nothing passes, and a stream says why it ended."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from colang import ColangRuntimeError
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from rails_engine.actions import deadline

ANSWER = "the answer"
LIMIT_S = 0.1
RAIL_1 = """
define subflow guard
  $ok = execute judge
  if not $ok
    bot refuse to respond
    stop

define bot refuse to respond
  "no"
"""
RAIL_2 = f"""
import core
import guardrails

flow guard
  $ok = await JudgeAction()
  if not $ok
    bot say "no"
    abort

flow main
  user said something
  bot say "{ANSWER}"
"""


class PanicError(BaseException):
    """As native libraries raise: no `Exception`, and so past every `except Exception`."""


async def raises_nothing_to_say() -> bool:
    raise ValueError


async def exits() -> bool:
    raise SystemExit(1)


def exits_in_its_thread() -> bool:
    raise SystemExit(1)


async def panics() -> bool:
    raise PanicError


async def is_cancelled_from_elsewhere() -> bool:
    other: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    other.cancel()
    return await other


async def hangs() -> bool:
    await asyncio.sleep(60)
    return True


def hangs_in_its_thread() -> bool:
    time.sleep(LIMIT_S * 5)
    return True


async def will_not_be_cancelled() -> bool:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
    return True


async def never_ends() -> bool:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


BROKEN: list[Callable[[], Awaitable[bool] | bool]] = [
    raises_nothing_to_say,
    exits,
    exits_in_its_thread,
    panics,
    is_cancelled_from_elsewhere,
    hangs,
    hangs_in_its_thread,
    will_not_be_cancelled,
    never_ends,
]


@pytest.fixture(autouse=True)
def _little_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "GRACE_S", LIMIT_S)


def guarded(version: str, direction: str, judge: Callable[[], Awaitable[bool] | bool]) -> LLMRails:
    yaml = f'colang_version: "{version}"\nmodels: []\nrails:\n  {direction}: {{flows: [guard], timeout_s: {LIMIT_S}}}\n'
    config = RailsConfig.from_content(RAIL_1 if version == "1.0" else RAIL_2, yaml)
    app = LLMRails(config, llm=FakeLLMModel(responses=[ANSWER] * 4))
    return app.register_action(judge, "judge" if version == "1.0" else "JudgeAction")


@pytest.mark.parametrize("version", ["1.0", "2.x"])
@pytest.mark.parametrize("direction", ["input", "output"])
@pytest.mark.parametrize("judge", BROKEN)
async def test_nothing_passes_a_rail_that_breaks(
    version: str, direction: str, judge: Callable[[], Awaitable[bool] | bool]
) -> None:
    app = guarded(version, direction, judge)
    said = [{"role": "user", "content": "hi"}]
    reply = dict(await app.generate_async(messages=said))["content"]
    pieces = [str(piece) async for piece in app.stream_async(messages=said)]
    assert reply
    assert pieces
    assert ANSWER not in f"{reply}{pieces}"


class Unsure:
    def __bool__(self) -> bool:
        return False


class Untold:
    def __bool__(self) -> bool:
        raise ValueError


ANSWERS: dict[str, Callable[[], Any]] = {
    "an object that is false": Unsure,
    "an object that will not say": Untold,
    "zero of another kind": lambda: Decimal(0),
    "nothing in another kind": lambda: b"",
    "a generator": lambda: (each for each in [True]),
    "an error": lambda: ValueError("down"),
    "no number": lambda: math.nan,
    "a coroutine": is_cancelled_from_elsewhere,
}


@pytest.mark.parametrize("version", ["1.0", "2.x"])
@pytest.mark.parametrize("kind", ANSWERS)
async def test_nothing_passes_a_rail_whose_answer_is_no_consent(version: str, kind: str) -> None:
    def judge() -> Any:
        return ANSWERS[kind]()

    app = guarded(version, "output", judge)
    said = [{"role": "user", "content": "hi"}]
    try:
        reply = str(await app.generate_async(messages=said))
    except ColangRuntimeError as error:
        reply = str(error)
    pieces = [str(piece) async for piece in app.stream_async(messages=said)]
    assert ANSWER not in f"{reply}{pieces}"


async def test_an_object_consents_where_python_takes_it_for_true() -> None:
    for consenting in (object(), Decimal(1), re.search("a", "a")):
        app = guarded("1.0", "output", lambda: consenting)  # noqa: B023 -- called before the next
        assert (await app.generate_async(messages=[{"role": "user", "content": "hi"}]))["content"] == ANSWER


async def test_a_stream_tells_a_rail_that_broke_from_one_that_refused() -> None:
    app = guarded("1.0", "output", raises_nothing_to_say)
    pieces = [str(piece) async for piece in app.stream_async(messages=[{"role": "user", "content": "hi"}])]
    assert json.loads(pieces[-1])["error"]["code"] == "rail_execution_failure"


async def test_who_leaves_is_not_held_up_by_a_rail_that_never_ends() -> None:
    app = guarded("1.0", "input", never_ends)
    task = asyncio.ensure_future(app.generate_async(messages=[{"role": "user", "content": "hi"}]))
    await asyncio.sleep(LIMIT_S / 2)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done
