"""What a rail masks in a stream goes out masked as a whole, through the front door of both dialects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.testing import FakeLLMModel
from tests.rails_engine.gates import ANSWERING

ONE = """
define flow hide numbers
  $bot_message = execute hide(text=$bot_message)
"""
TWO = (
    ANSWERING
    + """
flow hide numbers
  global $bot_message
  $bot_message = await HideAction(text=$bot_message)
"""
)
NUMBER = " ".join("1234567890") * 3  # many pieces long, far longer than a window's context
ANSWER = f"First some words . Then {NUMBER} and after it some more words , and {NUMBER} at the end ."


def hide(text: str) -> str:
    return re.sub(r"\d( ?\d){11,}", "<NUMBER>", text)


async def streamed(
    dialect: str, settings: str, source: str = "", action: Callable[[str], Any] = hide
) -> list[str]:
    yaml = f"""
colang_version: "{dialect}"
passthrough: true
models: []
rails: {{output: {{flows: [hide numbers], streaming: {{{settings}}}}}}}
"""
    config = RailsConfig.from_content(source or (ONE if dialect == "1.0" else TWO), yaml)
    rails = LLMRails(config, llm=FakeLLMModel(responses=[ANSWER]))
    rails.register_action(action, "hide" if dialect == "1.0" else "HideAction")
    pieces = rails.stream_async(messages=[{"role": "user", "content": "number?"}])
    return [str(piece) async for piece in pieces]


@pytest.mark.parametrize("chunk", [2, 5, 200])
@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
async def test_what_is_within_the_reach_is_masked_whole_whatever_the_windows(
    dialect: str, chunk: int
) -> None:
    out = await streamed(dialect, f"chunk_size: {chunk}, context_size: 1, reach: 100")
    assert "".join(out) == hide(ANSWER)


BY_CONTEXT = {
    "1.0": ONE.replace("$bot_message = execute", "execute"),
    "2.x": TWO.replace("$bot_message = await", "await"),
}


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
async def test_a_reach_says_that_a_rail_rewrites_whose_flow_does_not_show_it(dialect: str) -> None:
    def rewrite(text: str) -> ActionResult:
        return ActionResult(context_updates={"bot_message": hide(text)})

    out = await streamed(dialect, "chunk_size: 3, context_size: 1, reach: 100", BY_CONTEXT[dialect], rewrite)
    assert "".join(out) == hide(ANSWER)


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
async def test_without_a_reach_the_context_is_what_stays_held(dialect: str) -> None:
    assert "".join(await streamed(dialect, "chunk_size: 200, context_size: 50")) == hide(ANSWER)
    assert "1 2 3" in "".join(await streamed(dialect, "chunk_size: 3, context_size: 1"))
