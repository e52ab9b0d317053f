"""Actions of Colang 2.x that outlive the call that started them: what other calls do to them, and they to others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import action
from nemoguardrails.exceptions import LLMCallException

COLANG = """
flow main
  activate worker
  activate asker
  match Never()
flow worker
  match Work()
  $v = await SlowAction()
  send Done(v=$v)
@loop("asking")
flow asker
  match Ask()
  $x = await DownAction()
"""
POLL = {"type": "CheckLocalAsync"}


class Slow:
    """The action that goes on between calls; it ends when the test lets it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.gate = asyncio.Event()
        self._error = error

    @action(name="SlowAction", execute_async=True)
    async def run(self) -> str:
        await self.gate.wait()
        if self._error is not None:
            raise self._error
        return "it"


async def down() -> None:
    raise LLMCallException("down")


def opened(slow: Slow) -> LLMRails:
    app = LLMRails(RailsConfig.from_content(COLANG, 'colang_version: "2.x"\nmodels: []\n'))
    app.register_action(slow.run, "SlowAction")
    app.register_action(down, "DownAction")
    return app


async def polled(app: LLMRails, state: Any) -> list[Any]:
    """What was done, as the next call hears it."""
    events, _ = await app.process_events_async([POLL], state, blocking=True)
    return [event["v"] for event in events if event["type"] == "Done"]


async def test_a_call_that_fails_does_not_end_what_an_earlier_call_has_started() -> None:
    slow = Slow()
    app = opened(slow)
    _, state = await app.process_events_async([{"type": "Work"}])
    with pytest.raises(LLMCallException):
        await app.process_events_async([{"type": "Ask"}], state)
    slow.gate.set()
    assert await polled(app, state) == ["it"]
    await app.aclose()


async def test_a_failure_in_the_background_ends_one_call_and_is_a_failed_action_to_the_next() -> None:
    slow = Slow(LLMCallException("down"))
    app = opened(slow)
    _, state = await app.process_events_async([{"type": "Work"}])
    slow.gate.set()
    with pytest.raises(LLMCallException):
        await polled(app, state)
    assert await polled(app, state) == [None]
    await app.aclose()


async def test_nobody_has_to_stop_the_action_of_a_rail_that_has_failed() -> None:
    async def judge() -> bool:
        raise ValueError("broken")

    colang = (
        "import core\nimport guardrails\nflow guard\n  $ok = await JudgeAction()\n  if not $ok\n    abort\n"
        'flow main\n  user said something\n  bot say "fine"\n'
    )
    yaml = 'colang_version: "2.x"\nmodels: []\nrails: {input: {flows: [guard], on_error: allow}}\n'
    app = LLMRails(RailsConfig.from_content(colang, yaml))
    app.register_action(judge, "JudgeAction")
    said = {"type": "UtteranceUserActionFinished", "final_transcript": "hi"}
    events, _ = await app.process_events_async([said])
    assert [event["script"] for event in events if event["type"] == "StartUtteranceBotAction"] == ["fine"]
    assert not [event["type"] for event in events if event["type"].startswith("Stop")]


async def test_what_ends_at_once_is_part_of_the_call_that_started_it() -> None:
    slow = Slow()
    app = opened(slow)
    events, state = await app.process_events_async([{"type": "Work"}])
    assert "Done" not in [event["type"] for event in events]
    slow.gate.set()
    assert await polled(app, state) == ["it"]
    slow.gate.set()
    events, _ = await app.process_events_async([{"type": "Work"}])
    assert [event["v"] for event in events if event["type"] == "Done"] == ["it"]
