"""Flows of a configuration's own that ask the actions of the self checks, as published configurations do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rails_engine import GenerationResponse, LLMRails
from rails_engine.config import RailsConfig
from rails_engine.llm import ScriptedLLM

REFUSAL = "I'm sorry, I can't respond to that."
ONE = """
define flow self check input
  $allowed = execute self_check_input
  if not $allowed
    bot refuse to respond
    stop

define flow self check output
  $allowed = execute self_check_output
  if not $allowed
    bot refuse to respond
    stop
"""
RAILS = """
models: []
rails:
  input: {flows: [self check input]}
  output: {flows: [self check output]}
prompts:
  - {task: self_check_input, content: "Block {{ user_input }}?"}
  - {task: self_check_output, content: "Block {{ bot_response }}?"}
"""
TWO = """
import core
import guardrails

flow main
  activate talk

flow talk
  user said something
  bot say "fine"

flow input rails $input_text
  $allowed = await SelfCheckInputAction
  if not $allowed
    bot refuse to respond
    abort
"""
PROMPT = """
colang_version: "2.x"
models: []
prompts:
  - {task: self_check_input, content: "Block {{ user_input }}?"}
"""


def opened(colang: str, config: str, answers: Sequence[str]) -> LLMRails:
    return LLMRails(RailsConfig.from_content(colang, config), llm=ScriptedLLM(answers))


async def said(rails: LLMRails) -> str:
    answer = await rails.generate_async(messages=[{"role": "user", "content": "hello"}])
    assert isinstance(answer, dict)
    return str(answer["content"])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [(["No", "hi", "No"], "hi"), (["Yes"], REFUSAL), (["No", "hi", "Yes"], REFUSAL)],
)
async def test_a_flow_may_take_the_verdict_for_whether_the_text_is_allowed(
    answers: Sequence[str], expected: str
) -> None:
    assert await said(opened(ONE, RAILS, answers)) == expected


@pytest.mark.parametrize(("answer", "expected"), [("No", "fine"), ("Yes", REFUSAL)])
async def test_under_2_x_too(answer: str, expected: str) -> None:
    assert await said(opened(TWO, PROMPT, [answer])) == expected


@pytest.mark.parametrize(("allowed", "expected"), [(True, "hi"), (False, REFUSAL), (None, REFUSAL)])
@pytest.mark.parametrize("action", ["self_check_input", "self_check_output"])
async def test_what_stands_in_for_the_action_may_answer_plainly(
    action: str, allowed: bool | None, expected: str
) -> None:
    async def judge() -> bool | None:
        return allowed

    rails = opened(ONE, RAILS, ["No", "hi"] if action == "self_check_output" else ["hi", "No"])
    rails.register_action(judge, action)
    assert await said(rails) == expected


@pytest.mark.parametrize(("colang", "config"), [(ONE, RAILS), (TWO, PROMPT)])
async def test_the_verdict_is_saved_with_the_conversation(colang: str, config: str) -> None:
    rails, state, replies = opened(colang, config, ["Yes", "Yes"]), {}, []
    for _ in range(2):
        response = await rails.generate_async(messages=[{"role": "user", "content": "hello"}], state=state)
        assert isinstance(response, GenerationResponse)
        state, replies = response.state or {}, [*replies, *response.response]
    assert [reply["content"] for reply in replies if isinstance(reply, dict)] == [REFUSAL, REFUSAL]


@pytest.mark.parametrize(
    ("rail", "answers", "variable"),
    [
        ("self check output", ["Tea.", "no"], "response"),
        ("self check hallucination", ["Tea.", "Tea!", "Tea?", "yes"], "hallucination_response"),
    ],
)
async def test_flows_read_the_verdict_of_a_rail_under_its_name(
    rail: str, answers: list[str], variable: str
) -> None:
    task = rail.replace(" ", "_")
    yaml = (
        f"models: []\nrails: {{output: {{flows: [{rail}, note]}}}}\nprompts: [{{task: {task}, content: x}}]\n"
    )
    note = f"define subflow note\n  $seen = ${variable}.is_blocked\n"
    rails = LLMRails(RailsConfig.from_content(note, yaml), llm=ScriptedLLM(answers))
    checked = {"role": "context", "content": {"check_hallucination": True}}
    messages = [checked, {"role": "user", "content": "hi"}]
    found = await rails.generate_async(messages=messages, options={"output_vars": ["seen"]})
    assert isinstance(found, GenerationResponse)
    assert found.output_data == {"seen": False}
