"""What users' actions and models read from the context of a call, and the records that they may set."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.llm.utils import get_and_clear_reasoning_trace_contextvar, llm_call
from nemoguardrails.context import (
    explain_info_var,
    generation_options_var,
    llm_call_info_var,
    llm_stats_var,
    raw_llm_request,
    reasoning_trace_var,
)
from nemoguardrails.logging.explain import ExplainInfo, LLMCallInfo
from nemoguardrails.logging.stats import LLMStats
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse

FLOWS = """
define user ask
  "ask"
define bot tell
  "told"
define flow
  user ask
  $x = execute look
  bot tell
"""
HELLO = {"type": "UserMessage", "text": "hello"}
ASKED = [{"role": "user", "content": "ask"}]


def rails(*answers: str) -> LLMRails:
    return LLMRails(
        RailsConfig.from_content(FLOWS, "models: []\n"), llm=FakeLLMModel(responses=list(answers))
    )


async def test_an_action_reads_the_options_and_the_messages_of_its_call() -> None:
    seen: list[Any] = []

    async def look() -> None:
        options = generation_options_var.get()
        seen.append((options.llm_params if options else None, raw_llm_request.get()))

    def look_from_a_thread() -> None:
        options = generation_options_var.get()
        seen.append((options.llm_params if options else None, raw_llm_request.get()))

    app = rails("ask", "ask", "ask")
    app.register_action(look, "look")
    options = {"llm_params": {"seed": 5}}
    await app.generate_async(messages=ASKED, options=options)
    assert [piece async for piece in app.stream_async(messages=ASKED, options=options)] == ["told"]
    app.register_action(look_from_a_thread, "look")
    await app.generate_async(messages=ASKED)
    assert seen == [({"seed": 5}, ASKED), ({"seed": 5}, ASKED), (None, ASKED)]
    assert generation_options_var.get() is None
    assert raw_llm_request.get() is None


async def test_calls_side_by_side_see_their_own_context() -> None:
    seen: dict[int, int] = {}

    async def look(context: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        options = generation_options_var.get()
        assert options is not None
        assert options.llm_params is not None
        seen[context["number"]] = options.llm_params["seed"]

    async def call(number: int) -> None:
        app = rails("ask")
        app.register_action(look, "look")
        messages = [{"role": "context", "content": {"number": number}}, *ASKED]
        await app.generate_async(messages=messages, options={"llm_params": {"seed": number}})

    await asyncio.gather(*(call(number) for number in range(20)))
    assert seen == {number: number for number in range(20)}


async def test_a_record_that_was_set_hears_of_every_call() -> None:
    info, stats = ExplainInfo(), LLMStats()
    explain_info_var.set(info)
    llm_stats_var.set(stats)
    app = rails("ask", "ask")
    app.register_action(lambda: None, "look")
    await app.generate_async(messages=ASKED)
    await app.generate_async(messages=ASKED)
    assert [call.task for call in info.llm_calls] == ["generate_user_intent"] * 2
    assert 'bot tell\n  "told"' in (info.colang_history or "")
    assert stats.get_stat("total_calls") == 2


async def test_an_action_names_its_model_call_and_reads_its_reasoning() -> None:
    reasoning: list[str | None] = []

    async def look(llm: Any) -> str:
        llm_call_info_var.set(LLMCallInfo(task="look_it_up"))
        answer = await llm_call(llm, "what is it?")
        reasoning.append(reasoning_trace_var.get())
        reasoning.append(get_and_clear_reasoning_trace_contextvar())
        reasoning.append(reasoning_trace_var.get())
        return answer.content

    model = FakeLLMModel(llm_responses=[LLMResponse("ask"), LLMResponse("tea", reasoning="hm")])
    app = LLMRails(RailsConfig.from_content(FLOWS, "models: []\n"), llm=model)
    app.register_action(look, "look")
    await app.generate_async(messages=ASKED)
    assert [call.task for call in app.explain().llm_calls] == ["generate_user_intent", "look_it_up"]
    assert reasoning == ["hm", "hm", None]


async def test_what_explain_shows_of_one_task_is_bounded() -> None:
    app = LLMRails(RailsConfig.from_content(None, "models: []\n"), llm=FakeLLMModel(responses=["a"] * 300))
    for _ in range(300):
        await app.generate_async(prompt="q")
    assert len(app.explain().llm_calls) == 100


def test_each_model_of_the_configuration_is_an_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    models = [{"type": kind, "engine": "openai", "model": f"m-{kind}"} for kind in ("main", "content_safety")]
    app = LLMRails(RailsConfig.from_content(config={"models": models}))
    assert (app.llm.model_name, app.content_safety_llm.model_name) == ("m-main", "m-content_safety")
    with pytest.raises(AttributeError, match="no attribute 'other_llm'"):
        _ = app.other_llm


def test_the_runtime_shows_what_is_registered() -> None:
    app = rails()

    def look() -> None:
        """Nothing to see."""

    app.register_action(look).register_action_param("factor", 6)
    runtime = app.runtime
    assert runtime.registered_actions["look"] is look
    with pytest.raises(TypeError):
        runtime.registered_actions["look"] = len  # type: ignore[index]
    assert runtime.registered_action_params == {"factor": 6}
    assert runtime.action_dispatcher.has_registered("LookAction")
    assert runtime.action_dispatcher.get_action("missing") is None
    assert "hello" in str(runtime.llm_task_manager.render_task_prompt("general", {"history": [HELLO]}))


def test_a_copy_is_made_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    models = [{"type": "main", "engine": "openai", "model": "m"}]
    app = LLMRails(RailsConfig.from_content(FLOWS, config={"models": models}))
    again = copy.copy(app)
    assert again.config is app.config
    assert again.llm.model_name == "m"
    again.register_action(lambda: 1, "only_here")
    assert not app.runtime.action_dispatcher.has_registered("only_here")


LAST = """
define bot say it
  "$last_user_message, $last_bot_message, $user_message"
define subflow look
  if $user_message == "stop"
    bot say it
    stop
"""


@pytest.mark.parametrize("through_state", [True, False])
async def test_rails_know_what_was_said_before_from_messages_as_from_a_state(through_state: bool) -> None:
    config = RailsConfig.from_content(LAST, config={"models": [], "rails": {"input": {"flows": ["look"]}}})
    app = LLMRails(config, llm=FakeLLMModel(responses=["two"]))
    asked, stop = {"role": "user", "content": "one"}, {"role": "user", "content": "stop"}
    if through_state:
        begun = await app.generate_async(messages=[asked], state={})
        answer = (await app.generate_async(messages=[stop], state=begun.state)).response[-1]
    else:
        answer = await app.generate_async(messages=[asked, {"role": "assistant", "content": "two"}, stop])
    assert answer["content"] == "one, two, stop"
