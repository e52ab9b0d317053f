"""`RunnableRails` as a step of LangChain: forms of questions, refusals, pipes, tools and parameters."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableParallel, RunnablePassthrough

from nemoguardrails import RailsConfig
from nemoguardrails.integrations.langchain.runnable_rails import RunnableRails
from tests.contracts.source import ROOT
from tests.rails_engine.langchain.models import CALL, CALLING, GATES, HI, chat, gated, plain, weather

# --- the forms of questions and answers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("hi", "Hello!"),
        (StringPromptValue(text="hi"), "Hello!"),
        (HI, AIMessage("Hello!")),
        ([HI], AIMessage("Hello!")),
        ([("user", "hi")], AIMessage("Hello!")),
        (ChatPromptValue(messages=[HI]), AIMessage("Hello!")),
        ({"input": "hi"}, {"output": "Hello!"}),
        ({"input": HI}, {"output": AIMessage("Hello!")}),
        ({"input": [HI]}, {"output": AIMessage("Hello!")}),
        ({"input": ChatPromptValue(messages=[HI])}, {"output": AIMessage("Hello!")}),
        (
            {"input": [{"role": "user", "content": "hi"}]},
            {"output": {"role": "assistant", "content": "Hello!"}},
        ),
        ({"input": "hi", "name": "Ada"}, {"output": "Hello!"}),
    ],
)
def test_the_answer_has_the_form_of_the_question(question: Any, answer: Any) -> None:
    model = chat("Hello!")
    assert RunnableRails(gated(), llm=model).invoke(question) == answer
    assert model.texts() == [("human", "hi")]


@pytest.mark.parametrize("question", [{"q": "hi"}, {"input": "hi"}])
def test_keys_of_the_callers_own(question: dict[str, str]) -> None:
    rails = RunnableRails(plain(), llm=chat("Hello!"), input_key="q", output_key="a")
    assert rails.invoke(question) == {"a": "Hello!"}
    assert (rails.passthrough_user_input_key, rails.passthrough_bot_output_key) == ("q", "a")


@pytest.mark.parametrize(
    ("question", "complaint"),
    [
        (3, "Unsupported input type 'int'"),
        (None, "Unsupported input type 'NoneType'"),
        ([3], "Unsupported message type"),
        ([RemoveMessage(id="1")], "RemoveMessage says nothing"),
        ({"question": "hi"}, "under 'input'; keys given: 'question'"),
        ({"input": {"input": "hi"}}, "Unsupported input type 'dict'"),
        ({"input": "hi", "context": "x"}, "'context' is a dictionary of variables, not str"),
        ([], "`messages` is empty"),
    ],
)
def test_a_question_of_no_known_form_is_refused(question: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        RunnableRails(plain(), llm=chat("Hello!")).invoke(question)


def test_every_kind_of_message_reaches_the_model() -> None:
    model = chat("Sunny.")
    asked = [
        SystemMessage("be kind"),
        HumanMessage("weather?"),
        AIMessage([{"type": "text", "text": "one moment"}], tool_calls=[CALL]),
        ToolMessage("sun", tool_call_id="c1", name="weather"),
    ]
    assert RunnableRails(plain(), llm=model).invoke(asked) == AIMessage("Sunny.")
    assert model.texts() == [
        ("system", "be kind"),
        ("human", "weather?"),
        ("ai", "one moment"),
        ("tool", "sun"),
    ]
    RunnableRails(plain(), llm=model).invoke([ChatMessage("hi", role="user")])
    assert model.texts() == [("human", "hi")]


def test_variables_of_the_context_are_there_for_flows() -> None:
    colang = (
        'define bot greet\n  "Hello {{name}}"\ndefine subflow greeting\n  if $name\n    bot greet\n    stop\n'
    )
    config = RailsConfig.from_content(
        colang, config={"models": [], "rails": {"input": {"flows": ["greeting"]}}}
    )
    rails = RunnableRails(config, llm=chat("never"))
    assert rails.invoke({"input": "hi", "context": {"name": "Ada"}}) == {"output": "Hello Ada"}


# --- blocking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passthrough", [True, False])
@pytest.mark.parametrize(("question", "answer"), [("bad", "Hello!"), ("hi", "the secret")])
def test_what_the_rails_refuse_does_not_come_through(passthrough: bool, question: str, answer: str) -> None:
    rails = RunnableRails(gated(), llm=chat(answer), passthrough=passthrough)
    assert rails.invoke(question) == "Nope."
    assert rails.invoke({"input": question}) == {"output": "Nope."}
    assert rails.invoke([HumanMessage(question)]) == AIMessage("Nope.")


SILENT = GATES.replace("    bot refuse to respond\n", "")


def test_a_rail_that_blocks_without_a_word_has_one_put_in_its_mouth() -> None:
    rails = RunnableRails(gated(SILENT), llm=chat("a secret"))
    assert rails.invoke("bad") == "I cannot process this request."
    assert rails.invoke("hi") == "I cannot provide this response."
    own = RunnableRails(
        gated(SILENT), llm=chat("a secret"), input_blocked_message="in", output_blocked_message="out"
    )
    assert [own.invoke(HumanMessage("bad")).content, own.invoke({"input": "hi"})] == ["in", {"output": "out"}]


RAISING = """
define subflow gate in
  if "bad" in $user_message
    create event InputRailException(message="No way.")
    stop
define subflow gate out
  $x = 1
"""


def test_an_exception_of_a_rail_is_an_event_for_texts_and_a_refusal_for_messages() -> None:
    rails = RunnableRails(gated(RAISING, enable_rails_exceptions=True), llm=chat("x"))
    event = rails.invoke("bad")
    assert (event["type"], event["message"]) == ("InputRailException", "No way.")
    assert rails.invoke({"input": "bad"})["output"]["type"] == "InputRailException"
    assert rails.invoke([HumanMessage("bad")]) == AIMessage("I cannot process this request.")


def test_older_messages_are_checked_as_well() -> None:
    model = chat("fine")
    asked = [HumanMessage("bad"), AIMessage("?"), HumanMessage("hi")]
    RunnableRails(gated(), llm=model).invoke(asked)
    assert all("bad" not in str(content) for _, content in model.texts())


# --- pipes ---------------------------------------------------------------------------------------------------------


def test_a_model_behind_rails_in_a_chain() -> None:
    model = chat("Hi there")
    prompt = ChatPromptTemplate.from_messages([("system", "be {mood}"), ("user", "{input}")])
    chain = prompt | (RunnableRails(gated()) | model) | StrOutputParser()
    assert chain.invoke({"mood": "kind", "input": "hi"}) == "Hi there"
    assert model.texts() == [("system", "be kind"), ("human", "hi")]
    assert chain.invoke({"mood": "kind", "input": "bad"}) == "Nope."


def test_a_text_model_and_a_text_prompt() -> None:
    chain = PromptTemplate.from_template("say {input}") | (
        RunnableRails(gated()) | FakeListLLM(responses=["yo"])
    )
    assert chain.invoke({"input": "hi"}) == "yo"


def test_a_parser_comes_after_the_rails() -> None:
    chain = RunnableRails(gated()) | chat("Hi there") | StrOutputParser()
    assert chain.invoke([HI]) == "Hi there"
    assert (RunnableRails(gated(), llm=chat("Hi")) | StrOutputParser()).invoke([HI]) == "Hi"


def test_a_function_before_the_rails() -> None:
    chain = (lambda given: given["q"]) | RunnableRails(gated(), llm=chat("Hello!"))
    assert chain.invoke({"q": "hi"}) == "Hello!"


def test_piping_leaves_a_step_as_it_was() -> None:
    rails = RunnableRails(gated(), llm=chat("own"))
    first, second = rails | chat("first"), rails | chat("second")
    assert [step.invoke("hi") for step in (first, second, rails)] == ["first", "second", "own"]


def asking(action: str) -> RailsConfig:
    """A configuration whose input rail answers with what an action gives."""
    colang = f"define subflow asking\n  $x = execute {action}\n  bot $x\n  stop\n"
    return RailsConfig.from_content(colang, config={"models": [], "rails": {"input": {"flows": ["asking"]}}})


def test_what_is_registered_holds_for_every_step_of_one_origin() -> None:
    rails = RunnableRails(asking("lucky"))
    chain = rails | chat("never")

    async def lucky() -> str:
        return "seven"

    rails.rails.register_action(lucky, "lucky")
    assert chain.invoke("hi") == "seven"


def test_pipe_is_the_operator_by_name() -> None:
    assert RunnableRails(gated()).pipe(chat("a secret"), StrOutputParser()).invoke([HI]) == "Nope."


def test_the_configuration_is_left_as_it_was() -> None:
    config = plain()
    RunnableRails(config, llm=chat("x"))
    assert config.passthrough is None


def test_rails_work_among_other_steps() -> None:
    rails = RunnableRails(gated(), llm=chat("Hello!"))
    assert RunnableParallel(a=rails, b=RunnablePassthrough()).invoke("hi") == {"a": "Hello!", "b": "hi"}
    assert RunnablePassthrough.assign(out=rails).invoke({"input": "hi"}) == {
        "input": "hi",
        "out": {"output": "Hello!"},
    }
    assert rails.map().invoke(["hi", "bad"]) == ["Hello!", "Nope."]


def test_nothing_else_can_be_piped() -> None:
    with pytest.raises(TypeError, match="int"):
        RunnableRails(plain()) | 3  # type: ignore[operator]


# --- tools, parameters, what stands beside the text ----------------------------------------------------------------


@pytest.mark.parametrize("question", [[HumanMessage("weather?")], HumanMessage("weather?")])
def test_a_model_with_tools_calls_them_through_the_rails(question: Any) -> None:
    model = chat(CALLING)
    answer = (RunnableRails(gated()) | model.bind_tools([weather])).invoke(question)
    assert answer.tool_calls == [CALL]
    assert model.given[-1]["tools"][0]["function"]["name"] == "weather"


NO_CALLS = "define subflow no calls\n  stop\n"


def test_tool_rails_see_the_calls_of_a_model_and_of_a_chain() -> None:
    rails = {"tool_output": {"flows": ["no calls"]}}
    config = RailsConfig.from_content(NO_CALLS, config={"models": [], "rails": rails})
    bound = chat(CALLING).bind_tools([weather])
    assert (RunnableRails(config) | bound).invoke([HI]).tool_calls == []
    behind = RunnableRails(config, llm=chat("x")) | (RunnablePassthrough() | bound)
    assert behind.invoke([HI]).tool_calls == []
    free = RunnableRails(plain(), llm=chat("x")) | (RunnablePassthrough() | bound)
    assert free.invoke([HI]).tool_calls == [CALL]


def test_tools_given_to_the_step_are_actions() -> None:
    rails = RunnableRails(asking('weather(city="Rome")'), llm=chat("never"), tools=[weather])
    assert rails.invoke("hi") == "sun in Rome"


def test_parameters_of_a_call_reach_the_model() -> None:
    model = chat("x")
    rails = RunnableRails(gated(), llm=model)
    rails.invoke("hi", temperature=0.3, stop=["END"])
    assert model.given[-1] == {"temperature": 0.3, "stop": ["END"]}
    rails.bind(temperature=0.5).invoke("hi")
    assert model.given[-1] == {"temperature": 0.5}
    (RunnableRails(gated()) | model.bind(temperature=0.7)).invoke("hi")
    assert model.given[-1] == {"temperature": 0.7}
    rails.invoke("hi", tools=[weather])
    assert model.given[-1]["tools"][0]["function"]["name"] == "weather"


def test_what_the_model_told_beside_its_answer() -> None:
    usage: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    told = AIMessage(
        "Hello!",
        usage_metadata=usage,
        response_metadata={"model_name": "m"},
        additional_kwargs={"reasoning_content": "hm"},
    )
    answer = RunnableRails(gated(), llm=chat(told)).invoke([HI])
    assert answer.usage_metadata == usage
    assert answer.response_metadata["model_name"] == "m"
    assert answer.additional_kwargs == {"reasoning_content": "hm"}
    refused = RunnableRails(gated(), llm=chat(told.model_copy(update={"content": "a secret"}))).invoke([HI])
    assert (refused.content, refused.usage_metadata, refused.additional_kwargs) == ("Nope.", None, {})


# --- without langchain-core ----------------------------------------------------------------------------------------


def test_without_langchain_there_is_one_clear_error() -> None:
    program = (
        "import sys; sys.modules['langchain_core'] = None\n"
        "import nemoguardrails\n"
        "try:\n    from nemoguardrails.integrations.langchain.runnable_rails import RunnableRails\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(  # noqa: S603 -- a fixed program of ours
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert "pip install 'interlock-rails[langchain]'" in done.stdout
