"""Programs as their authors know them to run: names in logs, what prompts quote, rails that speak side by side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.rails.llm.options import GenerationResponse
from nemoguardrails.testing import FakeLLMModel, TestChat


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("  user a\n  bot b\n", "anonymous-2d500d83"),
        ("    user a\n\n    bot b # said at once\n", "anonymous-2d500d83"),
        ("  user a\n  # how many\n  $x = ...\n", "anonymous-edf1f0b"),
        ("  user a\n  if $x\n    bot b\n  else\n    bot c\n", "anonymous-3385e33"),
        ("  user a or\n    user b\n  bot b\n", "anonymous-35d5a5b3"),
    ],
)
def test_a_flow_without_a_name_is_called_by_its_text(body: str, name: str) -> None:
    colang = f'define user a\n  "a"\ndefine bot b\n  "b"\ndefine flow\n{body}'
    rails = LLMRails(
        RailsConfig.from_content(colang, "models: []"), llm=FakeLLMModel(["a", "7", "bot b", "x"])
    )
    messages = [{"role": "context", "content": {"x": 0}}, {"role": "user", "content": "a"}]
    found = rails.generate(messages=messages, options={"log": {"activated_rails": True}})
    assert isinstance(found, GenerationResponse)
    assert found.log is not None
    assert name in [rail.name for rail in found.log.activated_rails]


def test_a_given_model_stands_for_one_that_could_not_be_made() -> None:
    config = RailsConfig.from_content("", "models: [{type: main, engine: own_engine, model: m}]")
    assert LLMRails(config, llm=FakeLLMModel(["hello"])).generate(prompt="hi") == "hello"


def test_a_rail_beside_others_may_speak_and_the_turn_goes_on() -> None:
    colang = """
define bot warn
  "Careful."
define subflow speaking
  bot warn
define subflow looking
  $seen = execute look
"""
    yaml = "models: []\nrails: {input: {parallel: true, flows: [speaking, looking]}}\n"
    rails = LLMRails(RailsConfig.from_content(colang, yaml), llm=FakeLLMModel(["answer"]))

    async def look() -> int:
        return 7

    rails.register_action(look)
    found = rails.generate(prompt="hi", options={"log": {"activated_rails": True}, "output_vars": ["seen"]})
    assert isinstance(found, GenerationResponse)
    assert (found.response, found.output_data) == ("Careful.\nanswer", {"seen": 7})
    assert found.log is not None
    decisions = {rail.name: rail.decisions for rail in found.log.activated_rails}
    assert decisions["speaking"][0] == "warn"
    assert decisions["looking"] == ["execute look"]


def test_of_a_rail_beside_others_that_stops_the_stop_counts() -> None:
    colang = 'define bot no\n  "No."\ndefine subflow gate\n  bot no\n  stop\n'
    yaml = "models: []\nrails: {input: {parallel: true, flows: [gate]}}\n"
    rails = LLMRails(RailsConfig.from_content(colang, yaml), llm=FakeLLMModel([]))
    found = rails.generate(prompt="hi", options={"log": {"activated_rails": True}})
    assert isinstance(found, GenerationResponse)
    assert found.log is not None
    assert [(rail.decisions, rail.stop) for rail in found.log.activated_rails] == [(["stop"], True)]


def test_what_rails_did_before_one_beside_them_stopped_stays() -> None:
    colang = """
define subflow quick
  $counted = 5
define subflow gate
  execute wait
  create event GateRailException(message="closed")
  stop
define subflow slow
  execute wait(long=True)
  $never = 1
"""
    yaml = "models: []\nrails: {input: {parallel: true, flows: [slow, gate, quick]}}\n"
    rails = LLMRails(RailsConfig.from_content(colang, yaml), llm=FakeLLMModel([]))

    async def wait(long: bool = False) -> None:
        await (asyncio.Event().wait() if long else asyncio.sleep(0.02))

    rails.register_action(wait)
    options = {"log": {"activated_rails": True}, "output_vars": ["counted", "never"]}
    found = rails.generate(prompt="hi", options=options)
    assert isinstance(found, GenerationResponse)
    assert found.log is not None
    assert found.output_data == {"counted": 5, "never": None}
    assert [(rail.name, rail.stop) for rail in found.log.activated_rails] == [
        ("quick", False),
        ("gate", True),
    ]


@pytest.mark.parametrize("rail", ['$relevant_chunks = "known"', '$chunks = "known"'])
def test_a_flow_goes_on_after_a_message_that_retrieval_rails_prepared(rail: str) -> None:
    colang = f"""
define user ask
  "ask"
define bot second
  "And that is all."
define subflow prepare
  {rail}
define flow
  user ask
  bot tell
  bot second
"""
    yaml = "models: []\nrails: {retrieval: {flows: [prepare]}}\n"
    rails = LLMRails(RailsConfig.from_content(colang, yaml), llm=FakeLLMModel(["ask", '"Told."']))
    assert rails.generate(prompt="ask") == "Told.\nAnd that is all."


def test_chunks_that_nobody_looked_up_grow_by_a_line_with_each_message() -> None:
    colang = (
        'define user ask\n  "ask"\ndefine bot one\n  "1"\ndefine flow\n  user ask\n  bot one\n  bot one\n'
    )
    rails = LLMRails(RailsConfig.from_content(colang, "models: []"), llm=FakeLLMModel(["ask"]))
    found = rails.generate(prompt="ask", options={"output_vars": ["relevant_chunks"]})
    assert isinstance(found, GenerationResponse)
    assert found.output_data == {"relevant_chunks": "\n\n"}


def test_a_scripted_chat_expects_texts_messages_and_events() -> None:
    colang = 'define subflow gate\n  create event TooLateException(message="Closed.")\n  stop\n'
    config = RailsConfig.from_content(colang, "models: []\nrails: {input: {flows: [gate]}}\n")
    refused = TestChat(config)
    refused >> "hi"
    refused << {"type": "TooLateException", "message": "Closed."}
    refused >> "hi"
    with pytest.raises(AssertionError, match=r"expected .*Open"):
        refused << {"message": "Open."}
    answered = TestChat(RailsConfig.from_content("", "models: []"), ["hello"])
    answered >> "hi"
    answered << {"role": "assistant", "content": "hello"}


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('f"{$cups} cups"', "2 cups"),
        ("f'{$cups + 1} cups' + \" of {$tea}\"", "3 cups of {$tea}"),
        ('"{$cups} cups"', "{$cups} cups"),
        ('execute echo(text=f"{$cups} cups of {{tea}}")', "2 cups of {tea}"),
    ],
)
def test_texts_behind_an_f_have_expressions_in_braces(expression: str, said: str) -> None:
    colang = f"""
define user ask
  "ask"
define bot tell
  "{{{{ answer }}}}"
define flow
  user ask
  $cups = 2
  $answer = {expression}
  bot tell
"""
    rails = LLMRails(RailsConfig.from_content(colang, "models: []"), llm=FakeLLMModel(["ask"]))
    rails.register_action(lambda text: text, "echo")
    assert rails.generate(prompt="ask") == said


@pytest.mark.parametrize("ending", ["    stop\n", ""])
@pytest.mark.parametrize("options", [None, {"log": {"activated_rails": True}}])
def test_an_output_rail_refuses_in_words_that_a_model_finds(options: Any, ending: str) -> None:
    colang = f'define subflow gate\n  if "bad" in $bot_message\n    bot refuse kindly\n{ending}'
    yaml = "models: []\nrails: {output: {flows: [gate]}}\n"
    rails = LLMRails(
        RailsConfig.from_content(colang, yaml), llm=FakeLLMModel(["a bad word", '"I would rather not."'])
    )
    reply = rails.generate(prompt="hi", options=options)
    said = reply.response if isinstance(reply, GenerationResponse) else reply
    assert said == "I would rather not."
