"""Tools through the front door: calls out, results in, and the rails on either side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, ToolCall, ToolCallFunction

YAML = """
models: []
passthrough: true
rails:
  tool_output: {flows: [tool call validation]}
  tool_input: {flows: [tool result validation]}
"""
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": CITY}}]
OPTIONS = {"llm_params": {"tools": TOOLS}}
REFUSAL = "I'm sorry, I can't respond to that."


def calling(*calls: tuple[str, dict[str, Any]]) -> LLMResponse:
    made = [
        ToolCall(id=f"c{number}", function=ToolCallFunction(name=name, arguments=arguments))
        for number, (name, arguments) in enumerate(calls)
    ]
    return LLMResponse(content="", tool_calls=made)


def rails(*answers: LLMResponse, extra: str = "") -> LLMRails:
    model = FakeLLMModel(llm_responses=list(answers))
    return LLMRails(RailsConfig.from_content("", YAML + extra), llm=model)


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def result(call_id: str, content: Any = "sunny", name: str = "weather") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}


async def test_calls_go_out_side_by_side_and_their_results_come_back() -> None:
    both = calling(("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"}))
    app = rails(both, LLMResponse(content="Sunny in both."))
    asked = await app.generate_async(messages=[user("weather?")], options=OPTIONS)
    assert [call["function"]["arguments"]["city"] for call in asked.tool_calls] == ["Oslo", "Rome"]
    called = {**asked.response[0], "tool_calls": asked.tool_calls}
    messages = [user("weather?"), called, result("c0"), result("c1")]
    answered = await app.generate_async(messages=messages, options=OPTIONS)
    assert answered.response == [{"role": "assistant", "content": "Sunny in both."}]
    prompt = app.explain().llm_calls[-1].prompt or ""
    assert prompt.count("sunny") == 2


@pytest.mark.parametrize(
    "call",
    [("explode", {}), ("weather", {}), ("weather", {"city": 5})],
    ids=["not offered", "argument missing", "argument of another type"],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_was_not_declared_goes_nowhere(
    call: tuple[str, dict[str, Any]], streamed: bool
) -> None:
    app = rails(calling(("weather", {"city": "Oslo"}), call))
    if streamed:
        told = [
            f async for f in app.stream_async(messages=[user("x")], options=OPTIONS, include_metadata=True)
        ]
        assert "".join(frame["text"] for frame in told) == REFUSAL
        assert not any("tool_calls" in frame.get("metadata", ()) for frame in told)
    else:
        reply = await app.generate_async(messages=[user("x")], options=OPTIONS)
        assert (reply.response[0]["content"], reply.tool_calls) == (REFUSAL, None)


@pytest.mark.parametrize(
    "results",
    [
        [result("c9")],
        [result("c0"), result("c0")],
        [result("c0", name="other")],
        [result("c0", content="x" * 300_000)],
    ],
    ids=["of no call", "twice", "under another name", "too large"],
)
async def test_a_result_that_fits_no_call_is_refused_before_a_model_sees_it(
    results: list[dict[str, Any]],
) -> None:
    app = rails(calling(("weather", {"city": "Oslo"})), LLMResponse(content="never"))
    asked = await app.generate_async(messages=[user("x")], options=OPTIONS)
    called = {**asked.response[0], "tool_calls": asked.tool_calls}
    reply = await app.generate_async(messages=[user("x"), called, *results], options=OPTIONS)
    assert reply.response == [{"role": "assistant", "content": REFUSAL}]
    pieces = [p async for p in app.stream_async(messages=[user("x"), called, *results], options=OPTIONS)]
    assert pieces == [REFUSAL]


async def test_an_exception_of_a_tool_rail_is_the_answer() -> None:
    app = rails(calling(("explode", {})), extra="enable_rails_exceptions: true\n")
    reply = await app.generate_async(messages=[user("x")], options=OPTIONS)
    assert reply.response[0]["role"] == "exception"
    assert reply.response[0]["content"]["type"] == "ToolOutputRailException"


MEETING = """
define subflow meets first
  $met = execute meet
define subflow meets second
  $met = execute meet
  if "Rome" in %s
    bot refuse to respond
    stop
"""
CALLED = {"id": "c0", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("direction", "told"), [("tool_output", "$tool_calls[0].function.name"), ("tool_input", "$tool_message")]
)
@pytest.mark.parametrize(("city", "stopped"), [("Oslo", []), ("Rome", ["meets second"])])
async def test_tool_rails_run_side_by_side(direction: str, told: str, city: str, stopped: list[str]) -> None:
    listed = f"{direction}: {{parallel: true, flows: [meets first, meets second]}}"
    config = RailsConfig.from_content(MEETING % told, f"models: []\npassthrough: true\nrails: {{{listed}}}\n")
    answers, results = [calling((city, {}))], []
    if direction == "tool_input":
        answers, results = (
            [LLMResponse(content="done")],
            [{"role": "assistant", "content": "", "tool_calls": [CALLED]}, result("c0", city)],
        )
    app = LLMRails(config, llm=FakeLLMModel(llm_responses=answers))
    here = asyncio.Barrier(2)

    async def meet() -> bool:
        async with asyncio.timeout(5):
            await here.wait()
        return True

    app.register_action(meet, "meet")
    reply = await app.generate_async(
        messages=[user("weather?"), *results], options={"log": {"activated_rails": True}}
    )
    judged = [rail for rail in reply.log.activated_rails if rail.type == direction]
    assert (reply.response[0]["content"] == REFUSAL) is bool(stopped)
    assert [rail.name for rail in judged if rail.stop] == stopped
    assert stopped or [rail.name for rail in judged] == ["meets first", "meets second"]


FAILING = "define subflow first\n  $done = execute look\ndefine subflow second\n  $done = 1\n"


@pytest.mark.parametrize("parallel", ["true", "false"])
@pytest.mark.parametrize("direction", ["tool_output", "tool_input"])
async def test_the_log_tells_of_a_tool_rail_that_stopped_because_it_could_not_judge(
    direction: str, parallel: str
) -> None:
    listed = f"{direction}: {{parallel: {parallel}, flows: [first, second]}}"
    config = RailsConfig.from_content(FAILING, f"models: []\npassthrough: true\nrails: {{{listed}}}\n")
    app = LLMRails(config, llm=FakeLLMModel(llm_responses=[calling(("weather", {}))]))

    async def look() -> None:
        raise RuntimeError("down")

    app.register_action(look)
    answered = [{"role": "assistant", "content": "", "tool_calls": [CALLED]}, result("c0")]
    results = answered if direction == "tool_input" else []
    reply = await app.generate_async(
        messages=[user("weather?"), *results], options={"log": {"activated_rails": True}}
    )
    judged = [rail for rail in reply.log.activated_rails if rail.type == direction]
    assert [(rail.name, rail.stop, rail.decisions[-1]) for rail in judged] == [("first", True, "stop")]
