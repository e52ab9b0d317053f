"""What models are sent, and what of their answers reaches the caller: parameters, tools, reasoning."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, ToolCall, ToolCallFunction

DIALOG = """
define user greet
  "hello"
define user count
  "how many"
define bot greet back
  "Hello there."
define flow
  user greet
  bot greet back
define flow
  user count
  bot tell number
"""
LOOK = "define subflow look\n  $seen = $bot_thinking\n"
SINGLE_CALL = "rails: {dialog: {single_call: {enabled: true}}}\n"
USER = {"role": "user", "content": "hello"}


class RecordingModel(FakeLLMModel):
    """Keeps the parameters of each call; has something of its own besides."""

    region = "north"

    def __init__(self, *answers: LLMResponse) -> None:
        super().__init__(llm_responses=list(answers))
        self.given: list[dict[str, Any]] = []

    async def generate_async(self, prompt: Any, *, stop: Any = None, **kwargs: Any) -> LLMResponse:
        self.given.append(kwargs)
        return await super().generate_async(prompt, stop=stop, **kwargs)


def rails(yaml: str, *answers: LLMResponse, colang: str = DIALOG) -> tuple[LLMRails, RecordingModel]:
    model = RecordingModel(*answers)
    return LLMRails(RailsConfig.from_content(colang, f"models: []\n{yaml}"), llm=model), model


def thought(text: str, reasoning: str) -> LLMResponse:
    return LLMResponse(content=text, reasoning=reasoning)


async def test_a_single_call_takes_the_callers_parameters_but_for_the_temperature() -> None:
    app, model = rails(SINGLE_CALL, LLMResponse(content='count\nbot tell number\n  "Two."'))
    options = {"llm_params": {"temperature": 0.9, "max_tokens": 33}}
    await app.generate_async(messages=[USER], options=options)
    assert model.given == [{"temperature": 0.001, "max_tokens": 33}]


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "look"}},
        {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "x-own": 1}},
        {"type": "custom", "custom": {"name": "look"}},
    ],
)
async def test_tools_are_sent_as_the_caller_wrote_them(tool: dict[str, Any]) -> None:
    app, model = rails("passthrough: true\n", LLMResponse(content="ok"), colang="")
    await app.generate_async(messages=[USER], options={"llm_params": {"tools": [tool]}})
    assert model.given == [{"tools": [tool]}]


@pytest.mark.parametrize(("offered", "calls"), [(False, None), (True, ["look"])])
async def test_calls_of_tools_that_nobody_offered_are_no_answer(offered: bool, calls: Any) -> None:
    call = ToolCall(id="c1", function=ToolCallFunction(name="look", arguments={}))
    app, _ = rails("", LLMResponse(content="Here.", tool_calls=[call]), colang="")
    tools = [{"type": "function", "function": {"name": "look"}}]
    options = {"llm_params": {"tools": tools}} if offered else {"log": {}}
    answer = await app.generate_async(messages=[USER], options=options)
    assert (answer.tool_calls and [each["function"]["name"] for each in answer.tool_calls]) == calls
    assert answer.response[0]["content"] == ("" if offered else "Here.")


async def test_a_predefined_message_comes_with_the_reasoning_that_led_to_it() -> None:
    app, _ = rails("", thought("greet", "they said hello"))
    answer = await app.generate_async(messages=[USER], options={"output_vars": ["bot_thinking"]})
    assert answer.response == [{"role": "assistant", "content": "Hello there."}]
    assert (answer.reasoning_content, answer.output_data) == (
        "they said hello",
        {"bot_thinking": "they said hello"},
    )


async def test_reasoning_that_no_output_rail_sees_is_not_shown() -> None:
    app, _ = rails("rails: {output: {flows: [look]}}\n", thought("greet", "secret"), colang=DIALOG + LOOK)
    answer = await app.generate_async(messages=[USER], options={"output_vars": ["seen"]})
    assert (answer.reasoning_content, answer.output_data) == (None, {"seen": None})


async def test_the_reasoning_of_a_single_call_is_that_of_its_message_and_output_rails_see_it() -> None:
    yaml = "rails: {dialog: {single_call: {enabled: true}}, output: {flows: [look]}}\n"
    app, _ = rails(yaml, thought('count\nbot tell number\n  "Two."', "one and one"), colang=DIALOG + LOOK)
    answer = await app.generate_async(messages=[USER], options={"output_vars": ["seen"]})
    assert answer.response == [{"role": "assistant", "content": "Two."}]
    assert (answer.reasoning_content, answer.output_data) == ("one and one", {"seen": "one and one"})


async def test_a_message_of_a_model_comes_with_that_models_reasoning() -> None:
    app, _ = rails("", thought("count", "a question"), LLMResponse(content='"Two."'))
    answer = await app.generate_async(messages=[USER], options={"log": {}})
    assert (answer.response[0]["content"], answer.reasoning_content) == ("Two.", None)


async def test_arguments_without_names_take_parameters_in_their_order() -> None:
    colang = 'define user greet\n  "hello"\ndefine flow\n  user greet\n  $r = execute join(1, "b")\n  bot tell\ndefine bot tell\n  "$r"\n'
    app, _ = rails("", LLMResponse(content="greet"), colang=colang)

    async def join(first: int, second: str, third: str = "c") -> str:
        return f"{first}{second}{third}"

    app.register_action(join)
    assert await app.generate_async(messages=[USER]) == {"role": "assistant", "content": "1bc"}


async def test_an_action_that_takes_anything_gets_them_counted_from_1() -> None:
    colang = 'define user greet\n  "hello"\ndefine flow\n  user greet\n  $r = execute join(1, "b")\n  bot tell\ndefine bot tell\n  "$r"\n'
    app, _ = rails("", LLMResponse(content="greet"), colang=colang)

    async def join(**given: object) -> str:
        return f"{given['$1']} and {given['$2']}"

    app.register_action(join)
    assert await app.generate_async(messages=[USER]) == {"role": "assistant", "content": "1 and b"}


async def test_an_action_reads_what_the_callers_own_model_has_besides() -> None:
    colang = 'define user greet\n  "hello"\ndefine flow\n  user greet\n  $r = execute where\n  bot tell\ndefine bot tell\n  "$r"\n'
    app, _ = rails("", LLMResponse(content="greet"), colang=colang)

    async def where(llm: Any = None) -> str:
        return f"{llm.region} {getattr(llm, 'nothing', None)}"

    app.register_action(where)
    assert await app.generate_async(messages=[USER]) == {"role": "assistant", "content": "north None"}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (["User intent: greet"], "Hello there."),
        (["user intent: greet"], "Hello there."),
        (["other", "Bot intent: greet back"], "Hello there."),
        (["User intent: count\nBot intent: tell number", 'Bot message: "Two."'], "Two."),
        (["count", "Bot message: Two."], "Two."),
        (["count", "Bot messages are two."], "Bot messages are two."),
    ],
)
async def test_labels_in_front_of_what_a_model_answers_are_notation(answers: list[str], said: str) -> None:
    app, _ = rails("", *(LLMResponse(content=answer) for answer in answers))
    assert await app.generate_async(messages=[USER]) == {"role": "assistant", "content": said}
    streamed, _ = rails("", *(LLMResponse(content=answer) for answer in answers))
    assert "".join([str(piece) async for piece in streamed.stream_async(messages=[USER])]) == said


async def test_a_single_call_may_label_its_three_parts() -> None:
    parts = 'User intent: count\nBot intent: tell number\nBot message: "Two."'
    app, _ = rails(SINGLE_CALL, LLMResponse(content=parts))
    assert await app.generate_async(messages=[USER]) == {"role": "assistant", "content": "Two."}


async def test_an_empty_message_in_passthrough_mode_with_intents_is_told_as_such() -> None:
    app, _ = rails("passthrough: true\n", LLMResponse(content="count"), LLMResponse(content=""))
    answer = await app.generate_async(messages=[USER])
    assert answer == {"role": "assistant", "content": "I'm not sure what to say."}
