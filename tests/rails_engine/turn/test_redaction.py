"""The log tells a Python caller everything; a redacted one tells what happened, and nothing that was said."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse
from tests.rails_engine.gates import ANSWERING, GATE_OUT_1, GATE_OUT_2

NOTING = GATE_OUT_2.replace("global $bot_message", "global $bot_message\n  global $verdicts\n  $verdicts = 1")
DIALECTS = {"1.0": (GATE_OUT_1, ""), "2.x": (ANSWERING + NOTING, 'colang_version: "2.x"\n')}
REFUSED = "the launch code is tangerine"
ALL = {"activated_rails": True, "llm_calls": True, "internal_events": True, "colang_history": True}


async def refused(dialect: str, **options: Any) -> Any:
    """What a call gives back whose answer is refused."""
    colang, yaml = DIALECTS[dialect]
    config = RailsConfig.from_content(colang, f"models: []\n{yaml}rails: {{output: {{flows: [gate out]}}}}\n")
    answer = LLMResponse(REFUSED, reasoning=f"they want tangerine: {REFUSED}")
    rails = LLMRails(config, llm=FakeLLMModel(llm_responses=[answer]))

    async def look(text: str) -> RailOutcome:
        return RailOutcome.block() if "tangerine" in text else RailOutcome.allow()

    rails.register_action(look, "look" if dialect == "1.0" else "LookAction")
    return await rails.generate_async(messages=[{"role": "user", "content": "the code?"}], options=options)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "asked", [True, ["bot_message", "last_bot_message", "bot_thinking", "event", "answer"]]
)
async def test_a_redacted_log_has_nothing_of_a_refused_answer(dialect: str, asked: Any) -> None:
    response = await refused(dialect, log={**ALL, "redacted": True}, llm_output=True, output_vars=asked)
    assert response.response == [{"role": "assistant", "content": "no out"}]
    assert "tangerine" not in response.model_dump_json()
    assert "the code?" not in response.model_dump_json()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_redacted_log_tells_what_ran_and_what_it_took(dialect: str) -> None:
    told = (await refused(dialect, log={**ALL, "redacted": True}, output_vars=["verdicts"])).log
    whole = (await refused(dialect, log=ALL)).log
    assert [call.task for call in told.llm_calls] == [call.task for call in whole.llm_calls] == ["general"]
    assert told.stats.llm_calls_count == whole.stats.llm_calls_count == 1
    assert [event["type"] for event in told.internal_events] == [e["type"] for e in whole.internal_events]
    shown, known = ([(r.type, r.name, r.stop) for r in log.activated_rails] for log in (told, whole))
    assert shown == known
    ran, really = (
        [a.action_name for r in log.activated_rails for a in r.executed_actions] for log in (told, whole)
    )
    assert ran == really
    assert any("look" in name.lower() for name in ran)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_caller_who_asks_for_the_whole_log_sees_what_was_refused(dialect: str) -> None:
    response = await refused(dialect, log=ALL)
    assert REFUSED in response.log.llm_calls[0].completion
    assert REFUSED in response.model_dump_json()


async def test_of_the_variables_a_redacted_response_shows_those_that_were_named() -> None:
    named = await refused("2.x", log={"redacted": True}, output_vars=["verdicts", "bot_message"])
    assert named.output_data == {"verdicts": 1}
    assert named.log is None
