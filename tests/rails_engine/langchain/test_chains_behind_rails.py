"""Chains that answer behind the rails: what they are asked, and what the rails make of what they answer."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
)
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.runnables import RunnableLambda

from nemoguardrails import RailsConfig
from nemoguardrails.integrations.langchain.runnable_rails import RunnableRails
from tests.rails_engine.langchain.models import HI, chat, gated, plain


def behind(answer: Any, config: RailsConfig | None = None) -> tuple[Any, list[Any]]:
    """A chain that gives `answer` behind rails, and what it was asked."""
    asked: list[Any] = []

    def step(given: Any) -> Any:
        asked.append(given)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return RunnableRails(config or gated(), llm=chat("the model")) | RunnableLambda(step), asked


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("hi", "text"),
        ({"input": "hi", "k": 1}, {"output": "text", "more": 1}),
        ({"input": "hi"}, "text"),
        ([HI], AIMessage("text", id="1")),
        (ChatPromptValue(messages=[HI]), {"output": AIMessage("text")}),
        ("hi", 3),
        ("hi", {"z": [1]}),
    ],
)
def test_a_chain_is_asked_and_answers_as_it_would_alone(question: Any, answer: Any) -> None:
    chain, asked = behind(answer)
    assert chain.invoke(question) == answer
    assert asked == [question]


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        ("a secret", "Nope."),
        ({"output": "a secret", "notes": "the secret"}, {"output": "Nope."}),
        (AIMessage("a secret", id="1"), AIMessage("Nope.")),
        ({"output": AIMessage("a secret")}, {"output": AIMessage("Nope.")}),
        ({"z": ["a secret"]}, "Nope."),
    ],
)
def test_output_rails_judge_all_that_a_chain_answers(answer: Any, given: Any) -> None:
    assert behind(answer)[0].invoke("hi") == given


@pytest.mark.parametrize("question", ["bad", {"input": "bad"}, [HumanMessage("bad")]])
def test_a_chain_is_not_asked_what_the_input_rails_refuse(question: Any) -> None:
    chain, asked = behind("text")
    chain.invoke(question)
    assert asked == []


MASKING = """
define subflow gate in
  $user_message = "my name is X"
define subflow gate out
  $bot_message = "hello X"
"""


@pytest.mark.parametrize(
    ("question", "asked_of_chain"),
    [
        ("my name is Ada", "my name is X"),
        (StringPromptValue(text="my name is Ada"), StringPromptValue(text="my name is X")),
        ({"input": "my name is Ada", "k": 1}, {"input": "my name is X", "k": 1}),
        (HumanMessage("my name is Ada"), HumanMessage("my name is X")),
        (
            [SystemMessage("s"), HumanMessage("my name is Ada")],
            [SystemMessage("s"), HumanMessage("my name is X")],
        ),
        (
            ChatPromptValue(messages=[HumanMessage("my name is Ada")]),
            ChatPromptValue(messages=[HumanMessage("my name is X")]),
        ),
    ],
)
def test_a_chain_is_asked_what_the_input_rails_left(question: Any, asked_of_chain: Any) -> None:
    chain, asked = behind("hello Ada", gated(MASKING))
    assert chain.invoke(question) == "hello X"
    assert asked == [asked_of_chain]


def test_what_rails_rewrite_stands_in_the_chains_own_answer() -> None:
    assert behind({"output": "hello Ada", "n": 1}, gated(MASKING))[0].invoke("q") == {
        "output": "hello X",
        "n": 1,
    }
    message = behind(AIMessage("hello Ada", id="1"), gated(MASKING))[0].invoke("q")
    assert (message.content, message.id) == ("hello X", "1")


def test_what_a_chain_raises_reaches_the_caller() -> None:
    chain, _ = behind(ZeroDivisionError("by zero"))
    with pytest.raises(ZeroDivisionError):
        chain.invoke("hi")
    with pytest.raises(ZeroDivisionError):
        list(chain.stream("hi"))


def test_rails_may_stand_behind_rails() -> None:
    inner = RunnableRails(plain(), llm=chat("a secret"))
    assert (RunnableRails(gated(), llm=chat("x")) | inner).invoke("hi") == "Nope."


def test_a_chain_cannot_stand_behind_rails_of_colang_2() -> None:
    config = RailsConfig.from_content(
        "flow main\n  match X()\n", config={"models": [], "colang_version": "2.x"}
    )
    with pytest.raises(ValueError, match=r"Colang 1\.0"):
        RunnableRails(config) | RunnableLambda(str)


def test_a_model_behind_rails_of_colang_2() -> None:
    colang = 'import core\nflow main\n  user said "hi"\n  bot say "yo"\n'
    config = RailsConfig.from_content(colang, config={"models": [], "colang_version": "2.x"})
    assert RunnableRails(config, llm=chat("x")).invoke("hi") == "yo"


def test_a_chain_that_is_never_asked_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    chain = RunnableRails(gated(), llm=chat("the model"), passthrough=False) | RunnableLambda(str)
    assert "never asked" in caplog.text
    assert chain.invoke("hi") == "the model"
