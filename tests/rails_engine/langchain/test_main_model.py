"""LangChain chat models as the main model: dialog, streaming, tool calls, and what the model is sent."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage

from nemoguardrails import LLMRails, RailsConfig
from tests.rails_engine.langchain.models import chat

TEA = """
define user wants tea
  "tea please"
define bot pours
  "Here is tea."
define flow
  user wants tea
  bot pours
"""
GATE = """
define subflow gate
  if "bad" in $bot_message
    bot refuses
    stop
define bot refuses
  "no"
"""


def rails(llm: Any, colang: str | None = None, yaml: str = "models: []\n") -> LLMRails:
    return LLMRails(RailsConfig.from_content(colang, yaml), llm=llm)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def test_a_dialog_with_a_langchain_model() -> None:
    usage: Any = {"input_tokens": 7, "output_tokens": 2, "total_tokens": 9}
    llm = chat(AIMessage(content="wants tea", usage_metadata=usage))
    app = rails(llm, TEA)
    assert app.generate(messages=[user("tea!")]) == {"role": "assistant", "content": "Here is tea."}
    (call,) = app.explain().llm_calls
    assert (call.task, call.completion, call.total_tokens) == ("generate_user_intent", "wants tea", 9)


def test_parameters_and_roles_reach_the_model() -> None:
    llm = chat("fine")
    rails(llm, yaml="models: []\npassthrough: true\n").generate(
        messages=[{"role": "system", "content": "be kind"}, user("q")],
        options={"llm_params": {"stop": ["X"]}},
    )
    assert llm.texts() == [("system", "be kind"), ("human", "q")]
    assert llm.given[-1]["stop"] == ["X"]


async def test_a_langchain_model_streams_through_the_output_rails() -> None:
    yaml = "models: []\nrails: {output: {flows: [gate], streaming: {chunk_size: 2, context_size: 0}}}\n"
    good = rails(chat("one two three"), GATE, yaml)
    assert "".join([str(p) async for p in good.stream_async(messages=[user("q")])]).strip() == "one two three"
    bad = rails(chat("one bad three"), GATE, yaml)
    assert "bad" not in "".join([str(p) async for p in bad.stream_async(messages=[user("q")])])


def test_tools_bound_in_langchain_are_called_through_the_rails() -> None:
    call: Any = {"name": "price", "args": {"of": "tea"}, "id": "c1", "type": "tool_call"}
    llm = chat(AIMessage(content="", tool_calls=[call]), "four euros")
    tool = {
        "type": "function",
        "function": {"name": "price", "parameters": {"type": "object", "properties": {}}},
    }
    app = rails(llm.bind_tools([tool]), yaml="models: []\npassthrough: true\n")
    asked = [user("how much?")]
    answer: Any = app.generate(messages=asked)
    assert answer["tool_calls"][0]["function"] == {"name": "price", "arguments": {"of": "tea"}}
    result = {"role": "tool", "tool_call_id": "c1", "name": "price", "content": "4"}
    assert app.generate(messages=[*asked, answer, result]) == {"role": "assistant", "content": "four euros"}
    assert [message.type for message in llm.asked[1]] == ["human", "ai", "tool"]


def test_a_langchain_model_takes_the_place_of_another() -> None:
    app = rails(chat("one"))
    assert app.generate(prompt="q") == "one"
    app.update_llm(chat("two"))
    assert app.generate(prompt="q") == "two"
