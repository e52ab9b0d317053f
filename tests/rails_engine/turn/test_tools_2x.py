"""Tools under Colang 2.x: a model's calls out, results in, and the rails on either side."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, ToolCall, ToolCallFunction

TALK = """
import core
import passthrough
flow main
  activate llm continuation
  match Never()
"""
OWN_TALK = """
import core
import guardrails
flow main
  activate answering
  activate going on
  match Never()
flow answering
  user said something as $said
  $answer = await PassthroughLLMAction(user_message=$said.transcript)
  bot say $answer
flow going on
  match UserToolMessages() as $event
  $answer = await PassthroughLLMAction(user_message="x", tool_messages=$event.tool_messages)
  bot say $answer
"""
HOOKS = """
import guardrails
import nemoguardrails.library.tools
flow tool output rails $tool_calls
  tool call validation
flow tool input rails $tool_messages
  tool result validation
"""
YAML = 'colang_version: "2.x"\nmodels: []\n'
LISTED = """
rails:
  tool_output: {flows: [tool call validation]}
  tool_input: {flows: [tool result validation]}
"""
CONFIGURATIONS = {
    "listed": (TALK, YAML + LISTED),
    "hooks": (TALK + HOOKS, YAML),
    "flows of its own": (OWN_TALK, YAML + LISTED),
}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
OPTIONS = {"llm_params": {"tools": TOOLS}}
REFUSAL = "I'm sorry, I can't respond to that."


def calling(name: str = "weather", *, thought: str = "", **arguments: Any) -> LLMResponse:
    call = ToolCall(id="c0", function=ToolCallFunction(name=name, arguments=arguments))
    return LLMResponse(content="", tool_calls=[call], reasoning=thought or None)


def rails(configuration: str, *answers: LLMResponse, extra: str = "", flows: str = "") -> LLMRails:
    source, yaml = CONFIGURATIONS[configuration]
    intent = [] if configuration == "flows of its own" else [LLMResponse(content="user intent: user asked")]
    model = FakeLLMModel(llm_responses=[*intent, *answers])
    return LLMRails(RailsConfig.from_content(source + flows, yaml + extra), llm=model)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def result(call_id: str = "c0", content: Any = "sunny", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
async def test_a_call_goes_out_and_its_result_comes_back(configuration: str) -> None:
    app = rails(configuration, calling(city="Oslo", thought="where?"), LLMResponse(content="Sunny."))
    asked = await app.generate_async(messages=[user("weather?")], options=OPTIONS)
    assert asked.tool_calls == [
        {"id": "c0", "type": "function", "function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    ]
    assert asked.reasoning_content == "where?"
    messages = [user("weather?"), asked.response[0], result()]
    answered = await app.generate_async(messages=messages, options=OPTIONS)
    assert answered.response == [{"role": "assistant", "content": "Sunny."}]
    prompt = app.explain().llm_calls[-1].prompt or ""
    assert "sunny" in prompt
    assert "[assistant]" in prompt


async def test_a_client_may_write_the_arguments_of_a_call_as_text() -> None:
    app = rails("listed", calling(city="Oslo"), LLMResponse(content="Sunny."))
    await app.generate_async(messages=[user("weather?")], options=OPTIONS)
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    called = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c0", "type": "function", "function": function}],
    }
    answered = await app.generate_async(messages=[user("weather?"), called, result()], options=OPTIONS)
    assert answered.response[0]["content"] == "Sunny."


async def test_with_a_state_the_result_alone_is_enough() -> None:
    app = rails("listed", calling(city="Oslo"), LLMResponse(content="Sunny."))
    asked = await app.generate_async(messages=[user("weather?")], options=OPTIONS, state={})
    answered = await app.generate_async(messages=[result()], options=OPTIONS, state=asked.state)
    assert answered.response[0]["content"] == "Sunny."


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(
    "call",
    [calling("explode"), calling(), calling(city=5)],
    ids=["not offered", "argument missing", "of another type"],
)
async def test_a_call_that_was_not_declared_goes_nowhere(configuration: str, call: LLMResponse) -> None:
    reply = await rails(configuration, call).generate_async(messages=[user("x")], options=OPTIONS)
    assert (reply.response[0]["content"], reply.tool_calls) == (REFUSAL, None)


async def test_the_thoughts_that_led_to_a_refused_call_are_withheld() -> None:
    reply = await rails("listed", calling("explode", thought="boom")).generate_async(
        messages=[user("x")], options=OPTIONS
    )
    assert reply.reasoning_content is None


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize(
    "results",
    [[result("c9")], [result(), result()], [result(name="other")], [result(content="x" * 300_000)]],
    ids=["of no call", "twice", "under another name", "too large"],
)
async def test_a_result_that_fits_no_call_is_refused_before_a_model_sees_it(
    configuration: str, results: list[dict[str, Any]]
) -> None:
    app = rails(configuration, calling(city="Oslo"), LLMResponse(content="never"))
    asked = await app.generate_async(messages=[user("x")], options=OPTIONS)
    reply = await app.generate_async(messages=[user("x"), asked.response[0], *results], options=OPTIONS)
    assert reply.response == [{"role": "assistant", "content": REFUSAL}]
    assert not app.explain().llm_calls[len(asked.log.llm_calls) if asked.log else 2 :]


ACTION = """
import core
flow main
  user said something
  $found = await LookupAction(key="k")
  bot say "found {$found}"
  match Never()
"""


def looking(rail: str, extra: str = "") -> LLMRails:
    yaml = YAML + "rails: {tool_input: {flows: [look at results]}}\n" + extra
    return LLMRails(RailsConfig.from_content(ACTION + rail, yaml))


async def found(app: LLMRails, content: str) -> dict[str, Any]:
    asked = await app.generate_async(messages=[user("x")])
    call = asked["tool_calls"][0]
    answer = {"role": "tool", "tool_call_id": call["id"], "name": "LookupAction", "content": content}
    return await app.generate_async(messages=[user("x"), asked, answer])


REFUSING = """
flow look at results
  global $tool_messages
  if "bad" in $tool_messages[0].content
    bot say "not that"
    abort
"""


async def test_the_result_of_an_action_that_the_caller_ran_goes_through_the_rails_too() -> None:
    assert (await found(looking(REFUSING), "good"))["content"] == "found good"
    assert (await found(looking(REFUSING), "bad"))["content"] == "not that"


async def test_a_rail_may_rewrite_a_result() -> None:
    rewriting = """
flow look at results
  global $tool_messages
  $message = $tool_messages[0].copy()
  ($message.update({"content": "masked"}))
  $tool_messages = [$message]
"""
    assert (await found(looking(rewriting), "secret"))["content"] == "found masked"


async def test_a_rail_whose_action_raises_lets_no_result_in() -> None:
    app = looking("flow look at results\n  $ok = await BrokenAction()\n")

    async def broken() -> bool:
        raise RuntimeError("no")

    app.register_action(broken, "BrokenAction")
    assert (await found(app, "x"))["content"] == "I'm sorry, an internal error has occurred."


async def test_an_exception_of_a_rail_is_told_as_an_event() -> None:
    raising = REFUSING.replace('bot say "not that"', 'send ToolInputRailException(message="no")')
    reply = await found(looking(raising), "bad")
    assert [event["type"] for event in reply["events"]] == ["ToolInputRailException"]


async def test_a_rail_may_rewrite_the_calls() -> None:
    flows = """
import guardrails
flow tool output rails $calls
  global $tool_calls
  $tool_calls = [$calls[0]]
"""
    both = LLMResponse(
        content="",
        tool_calls=[
            ToolCall(id=f"c{n}", function=ToolCallFunction(name="weather", arguments={})) for n in range(2)
        ],
    )
    model = FakeLLMModel(llm_responses=[LLMResponse(content="user intent: user asked"), both])
    app = LLMRails(RailsConfig.from_content(TALK + flows, YAML), llm=model)
    reply = await app.generate_async(messages=[user("x")])
    assert [call["id"] for call in reply["tool_calls"]] == ["c0"]


async def test_reasoning_comes_beside_an_answer_that_passed_and_with_no_other() -> None:
    rail = 'flow check it\n  global $bot_message\n  if "bad" in $bot_message\n    bot say "no"\n    abort\n'
    extra = "rails: {output: {flows: [check it]}}\n"
    for text, thought in (("fine", "hm"), ("bad", None)):
        intent = LLMResponse(content="user intent: user asked")
        model = FakeLLMModel(llm_responses=[intent, LLMResponse(content=text, reasoning="hm")])
        app = LLMRails(RailsConfig.from_content(TALK + rail, YAML + extra), llm=model)
        reply = await app.generate_async(messages=[user("x")], options={})
        assert reply.reasoning_content == thought


@pytest.mark.parametrize(("name", "heard"), [("weather", [True, True]), ("explode", [])])
async def test_a_stream_tells_of_calls_that_have_passed_and_of_what_led_to_them(
    name: str, heard: list[bool]
) -> None:
    app = rails("listed", calling(name, thought="where?", **({"city": "Oslo"} if heard else {})))
    told = [f async for f in app.stream_async(messages=[user("x")], options=OPTIONS, include_metadata=True)]
    beside = [frame.get("metadata", {}) for frame in told]
    named = [set(metadata) & {"reasoning_content", "tool_calls"} for metadata in beside]
    assert [bool(names) for names in named for _ in names] == heard
    assert "".join(frame["text"] for frame in told) == ("" if heard else REFUSAL)


@pytest.mark.parametrize(("name", "shown"), [("weather", "weather"), ("explode", "hidden")])
async def test_calls_of_a_client_are_judged_before_a_model_sees_them(name: str, shown: str) -> None:
    seen: list[str] = []

    class Model(FakeLLMModel):
        async def generate_async(self, prompt: Any, **given: Any) -> Any:
            seen.extend(call.function.name for message in prompt for call in message.tool_calls or ())
            return await super().generate_async(prompt, **given)

    source, yaml = CONFIGURATIONS["listed"]
    app = LLMRails(RailsConfig.from_content(source, yaml), llm=Model(responses=["Sunny."]))
    function = {"name": name, "arguments": '{"city": "Oslo"}'}
    called = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c9", "type": "function", "function": function}],
    }
    # The list begins with the client's own word for what this engine called.
    await app.generate_async(messages=[called, result("c9")], options=OPTIONS)
    assert seen == [shown]
