"""Model calls made ahead: each is taken once, and none is begun behind the turn itself."""

from __future__ import annotations

import pytest

from rails_engine.llm import LLMCall, LLMRequest, ScriptedLLM
from rails_engine.speculative_calls import SpeculationEndedError, SpeculativeCalls

ASKED = LLMRequest(prompt="q")


async def test_a_call_that_is_made_twice_is_taken_twice_and_then_asked_anew() -> None:
    model, calls, told = ScriptedLLM(["one", "two"]), SpeculativeCalls(), []
    for _ in range(2):
        calls.begin(model, ASKED, "general")
    answers = []
    while (taken := calls.take(model, ASKED, "general", told.append)) is not None:
        answers.append("".join([chunk.text async for chunk in taken]))
    assert answers == ["one", "two"]
    assert [call.completion.text for call in told if isinstance(call, LLMCall)] == ["one", "two"]
    await calls.close(told.append)
    assert len(told) == 2


async def test_nothing_more_is_begun_once_the_turn_itself_asks() -> None:
    model, calls = ScriptedLLM(["one"]), SpeculativeCalls()
    assert calls.take(model, ASKED, "general", print) is None
    with pytest.raises(SpeculationEndedError):
        calls.begin(model, ASKED, "general")
    assert model.requests == []
