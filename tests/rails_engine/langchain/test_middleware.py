"""Middleware: rails around the model of a LangChain agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from nemoguardrails.exceptions import ConfigurationError
from nemoguardrails.integrations.langchain.exceptions import GuardrailViolation
from nemoguardrails.integrations.langchain.middleware import (
    GuardrailsMiddleware,
    InputRailsMiddleware,
    OutputRailsMiddleware,
)
from tests.rails_engine.langchain.models import Chat, chat

NO_INPUT = "I cannot process this request due to content policy."
NO_OUTPUT = "I cannot provide this response due to content policy."
HIDDEN = "(hidden, because the assistant does not talk about it)"

COLANG = """
define bot refuse to respond
  "Nope."
define flow gate in
  if "bad" in $user_message
    bot refuse to respond
    stop
  $user_message = execute without_names(text=$user_message)
define flow gate out
  if "secret" in $bot_message
    bot refuse to respond
    stop
  $bot_message = execute without_names(text=$bot_message)
"""
COLANG_2 = """
import guardrails
flow input rails $input_text
  if "bad" in $input_text
    abort
flow output rails $output_text
  if "secret" in $output_text
    abort
flow main
  wait indefinitely
"""
ACTION = """
from nemoguardrails.actions import action
asked = []
@action()
async def without_names(text: str):
    asked.append(text)
    return text.replace("Bob", "***")
"""
CONFIG = "models: []\nrails:\n  input: {flows: [gate in]}\n  output: {flows: [gate out]}\n"
REGEX = """
rails:
  input: {flows: [regex check input]}
  config: {regex_detection: {input: {patterns: [bad]}}}
"""
CALL: Any = {"name": "weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sun in {city}"


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "config.yml").write_text(CONFIG)
    (tmp_path / "rails.co").write_text(COLANG)
    (tmp_path / "actions.py").write_text(ACTION)
    return str(tmp_path)


def agent(model: Chat, *middleware: GuardrailsMiddleware, **given: Any) -> Any:
    return create_agent(model=model, tools=[weather], middleware=middleware, **given)


def said(result: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(message.type, message.content) for message in result["messages"]]


def ask(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def judged(rails: GuardrailsMiddleware) -> list[str]:
    """The texts that the rewriting rails of the fixture have been given."""
    actions = rails.rails.runtime.registered_actions
    return list(actions["without_names"].__globals__["asked"])


# --- a run ---------------------------------------------------------------------------------------------------------


def test_what_the_rails_let_pass_goes_to_the_model_and_back(folder: str) -> None:
    model = chat("hello")
    assert said(agent(model, GuardrailsMiddleware(folder)).invoke(ask(("user", "hi")))) == [
        ("human", "hi"),
        ("ai", "hello"),
    ]
    assert model.texts() == [("human", "hi")]


async def test_a_refused_question_ends_the_run_before_the_model(folder: str) -> None:
    model = chat("hello")
    result = await agent(model, GuardrailsMiddleware(folder)).ainvoke(ask(("user", "a bad thing")))
    assert said(result) == [("human", "a bad thing"), ("ai", NO_INPUT)]
    assert model.asked == []


async def test_a_refused_answer_is_replaced_and_its_calls_are_not_made(folder: str) -> None:
    model = chat(AIMessage("the secret", tool_calls=[CALL]), "never")
    result = await agent(model, GuardrailsMiddleware(folder)).ainvoke(ask(("user", "hi")))
    assert said(result) == [("human", "hi"), ("ai", NO_OUTPUT)]
    assert result["messages"][-1].tool_calls == []


async def test_what_a_rail_rewrites_is_rewritten_in_place(folder: str) -> None:
    model = chat("Bob is out")
    result = await agent(model, GuardrailsMiddleware(folder)).ainvoke(ask(("user", "is Bob in?")))
    assert said(result) == [("human", "is *** in?"), ("ai", "*** is out")]
    assert model.texts() == [("human", "is *** in?")]


async def test_a_loop_over_tools_goes_on_and_judges_each_text_once(folder: str) -> None:
    model = chat(AIMessage("let me see", tool_calls=[CALL]), "sunny")
    rails = GuardrailsMiddleware(folder)
    result = await agent(model, rails).ainvoke(ask(("user", "weather?")))
    assert said(result)[1:] == [("ai", "let me see"), ("tool", "sun in Paris"), ("ai", "sunny")]
    assert judged(rails) == ["weather?", "let me see", "sunny"]


# --- what stands further up ----------------------------------------------------------------------------------------


async def test_a_question_that_was_blocked_is_not_shown_to_the_model_later(folder: str) -> None:
    model = chat("hello")
    asked = agent(model, GuardrailsMiddleware(folder), checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "1"}}
    await asked.ainvoke(ask(("user", "a bad thing")), thread)
    result = await asked.ainvoke(ask(("user", "hi")), thread)
    assert said(result)[0] == ("human", "a bad thing")
    assert model.texts() == [("human", HIDDEN), ("ai", NO_INPUT), ("human", "hi")]


async def test_a_history_that_the_client_made_up_is_judged(folder: str) -> None:
    model = chat("hello")
    history = [
        ("user", "bad"),
        ("ai", "the secret is Bob"),
        ("user", "hi"),
        ("ai", "I am Bob"),
        ("user", "ho"),
    ]
    await agent(model, GuardrailsMiddleware(folder)).ainvoke(ask(*history))
    assert [content for _, content in model.texts()] == [HIDDEN, HIDDEN, "hi", "I am ***", "ho"]


async def test_every_question_since_the_last_answer_is_judged(folder: str) -> None:
    model = chat("hello")
    result = await agent(model, GuardrailsMiddleware(folder)).ainvoke(ask(("user", "bad"), ("user", "hi")))
    assert said(result)[-1] == ("ai", NO_INPUT)
    assert model.asked == []


# --- the hooks -----------------------------------------------------------------------------------------------------


def test_the_hooks_give_what_an_agent_reads(folder: str) -> None:
    rails = GuardrailsMiddleware(folder)
    blocked = rails.before_model(ask(HumanMessage("bad")), None)
    assert blocked is not None
    assert (said(blocked)[-1], blocked["jump_to"]) == (("ai", NO_INPUT), "end")
    assert (
        rails.before_model(ask(HumanMessage("hi"), AIMessage("ho"), ToolMessage("x", tool_call_id="c")), None)
        is None
    )
    assert rails.after_model(ask(HumanMessage("hi")), None) is None
    refused = rails.after_model(ask(HumanMessage("hi"), AIMessage("secret", id="a1")), None)
    assert refused is not None
    assert refused["messages"][-1].id == "a1"


def test_parts_of_a_message_are_read_and_an_image_is_never_passed_unseen(folder: str) -> None:
    rails = GuardrailsMiddleware(folder)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    for parts in ([{"type": "text", "text": "bad"}], [{"type": "text", "text": "hi"}, image]):
        update = rails.before_model(ask(HumanMessage(parts)), None)
        assert update is not None
        assert update["jump_to"] == "end"
    assert rails.before_model(ask(HumanMessage([{"type": "text", "text": "hi"}])), None) is None


@pytest.mark.parametrize(
    ("kind", "messages", "told"),
    [
        ("input", [HumanMessage("bad")], "Input blocked by gate in"),
        ("output", [HumanMessage("hi"), AIMessage("secret")], "Output blocked by gate out"),
    ],
)
def test_a_refusal_is_raised_where_that_is_wanted(
    folder: str, kind: str, messages: list[Any], told: str
) -> None:
    rails = GuardrailsMiddleware(folder, raise_on_violation=True)
    hook = rails.before_model if kind == "input" else rails.after_model
    with pytest.raises(GuardrailViolation, match=told) as raised:
        hook(ask(*messages), None)
    assert raised.value.rail_type == kind
    assert raised.value.result is not None
    assert raised.value.result.status == "blocked"


def test_one_direction_alone(folder: str) -> None:
    inputs, outputs = (
        InputRailsMiddleware(folder),
        OutputRailsMiddleware(folder, blocked_output_message="No!"),
    )
    bad, secret = ask(HumanMessage("bad")), ask(HumanMessage("bad"), AIMessage("secret"))
    assert inputs.before_model(bad, None) is not None
    assert inputs.after_model(secret, None) is None
    assert outputs.before_model(bad, None) is None
    refused = outputs.after_model(secret, None)
    assert refused is not None
    assert said(refused)[-1] == ("ai", "No!")


def test_rails_of_colang_2_stand_around_a_model_too(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text('colang_version: "2.x"\nmodels: []\n')
    (tmp_path / "main.co").write_text(COLANG_2)
    model = chat("the secret", "hello")
    asked = agent(model, GuardrailsMiddleware(str(tmp_path)))
    assert [said(asked.invoke(ask(("user", text))))[-1][1] for text in ("bad", "hi", "hi")] == [
        NO_INPUT,
        NO_OUTPUT,
        "hello",
    ]


# --- configurations ------------------------------------------------------------------------------------------------


def test_a_configuration_may_be_given_as_text_and_is_given_once(folder: str) -> None:
    update = GuardrailsMiddleware(config_yaml=REGEX).before_model(ask(HumanMessage("bad")), None)
    assert update is not None
    assert update["jump_to"] == "end"
    with pytest.raises(ConfigurationError, match="one configuration"):
        GuardrailsMiddleware()
    with pytest.raises(ConfigurationError, match="one configuration"):
        GuardrailsMiddleware(folder, REGEX)


def test_middleware_that_would_check_nothing_is_refused(folder: str) -> None:
    with pytest.raises(ConfigurationError, match="no input or output rails"):
        GuardrailsMiddleware(config_yaml="models: []")
    with pytest.raises(ConfigurationError, match="no output rails"):
        OutputRailsMiddleware(config_yaml=REGEX)
    idle = GuardrailsMiddleware(folder, enable_input_rails=False, enable_output_rails=False)
    assert idle.before_model(ask(HumanMessage("bad")), None) is None
