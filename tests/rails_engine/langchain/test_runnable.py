"""`RunnableRails`: a model behind rails as a step of a LangChain chain."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import RunnableLambda, RunnableParallel, RunnablePassthrough
from langchain_core.tools import tool
from langchain_core.tracers import BaseTracer

from nemoguardrails import RailsConfig
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.integrations.langchain.runnable_rails import RunnableRails
from tests.contracts.source import ROOT
from tests.rails_engine.langchain.models import GATES, Chat, chat, gated, plain

CALL: Any = {"name": "weather", "args": {"city": "Paris"}, "id": "c1", "type": "tool_call"}
CALLING = AIMessage(content="", tool_calls=[CALL])


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sun in {city}"


# --- the forms of questions and answers ----------------------------------------------------------------------------

HI = HumanMessage("hi")


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


def test_rails_among_other_steps() -> None:
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


# --- chains behind the rails ---------------------------------------------------------------------------------------


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


def test_a_chain_that_raises() -> None:
    chain, _ = behind(ZeroDivisionError("by zero"))
    with pytest.raises(ZeroDivisionError):
        chain.invoke("hi")
    with pytest.raises(ZeroDivisionError):
        list(chain.stream("hi"))


def test_rails_behind_rails() -> None:
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


# --- streams, batches, loops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("hi", AIMessageChunk("Hi ")),
        ([HI], AIMessageChunk("Hi ")),
        (StringPromptValue(text="hi"), "Hi "),
        ({"input": "hi"}, {"output": "Hi "}),
        ({"input": [HI]}, {"output": AIMessageChunk("Hi ")}),
    ],
)
def test_a_stream_has_pieces_in_the_form_of_the_question(question: Any, first: Any) -> None:
    pieces = list(RunnableRails(gated(), llm=chat("Hi there you")).stream(question))
    assert pieces[0] == first
    assert len(pieces) == 3


def test_a_stream_holds_back_what_the_output_rails_refuse() -> None:
    pieces = list(RunnableRails(gated(), llm=chat("one two the secret is")).stream([HI]))
    text = "".join(piece.content for piece in pieces)
    assert "secret" not in text
    assert "content_blocked" in text


def test_a_stream_in_a_chain_goes_on_piece_by_piece() -> None:
    prompt = ChatPromptTemplate.from_messages([("user", "{input}")])
    chain = prompt | (RunnableRails(gated()) | chat("Hi there you")) | StrOutputParser()
    assert list(chain.stream({"input": "hi"})) == ["Hi ", "there ", "you "]


def test_tool_calls_come_in_the_stream() -> None:
    pieces = list((RunnableRails(plain()) | chat(CALLING).bind_tools([weather])).stream([HI]))
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    assert whole.tool_calls == [CALL]


async def test_a_stream_in_a_loop_and_one_that_is_left_early() -> None:
    rails = RunnableRails(gated(), llm=chat("one two three four"))
    assert len([piece async for piece in rails.astream("hi")]) == 4
    stream = rails.astream("hi")
    assert (await anext(stream)).content == "one "
    await stream.aclose()  # type: ignore[attr-defined]


def test_a_question_that_comes_in_pieces() -> None:
    rails = RunnableRails(gated(), llm=chat("Hello!"))
    assert "".join(piece.content for piece in rails.transform(iter(["b", "ad"]))) == "Nope."
    assert [piece.content for piece in rails.transform("hi")] == ["Hello! "]  # type: ignore[arg-type]


def test_batches() -> None:
    rails = RunnableRails(gated(), llm=chat("Hello!"))
    assert rails.batch(["hi", {"input": "bad"}]) == ["Hello!", {"output": "Nope."}]
    found = rails.batch(["hi", 3], return_exceptions=True)
    assert (found[0], type(found[1])) == ("Hello!", ValueError)


async def test_many_calls_at_once_do_not_mix() -> None:
    async def echo(given: dict[str, str]) -> dict[str, str]:
        await asyncio.sleep(0)
        return {"output": given["input"]}

    chain = RunnableRails(gated(), llm=chat("x")) | RunnableLambda(echo)
    answers = await chain.abatch([{"input": f"nonce {n}"} for n in range(50)])
    assert [answer["output"] for answer in answers] == [f"nonce {n}" for n in range(50)]


async def test_a_call_that_would_block_a_loop_says_what_to_await() -> None:
    rails = RunnableRails(plain(), llm=chat("x"))
    with pytest.raises(RuntimeError, match="ainvoke"):
        rails.invoke("hi")
    with pytest.raises(RuntimeError, match="astream"):
        list(rails.stream("hi"))


def test_a_model_that_fails() -> None:
    rails = RunnableRails(gated(), llm=chat(ValueError("boom")))
    with pytest.raises(LLMCallException, match="boom"):
        rails.invoke("hi")
    assert rails.with_fallbacks([RunnableLambda(lambda _: "other")]).invoke("hi") == "other"
    again = RunnableRails(gated(), llm=chat(ValueError("boom"), "ok"))
    assert again.with_retry(wait_exponential_jitter=False).invoke("hi") == "ok"


def test_no_model_at_all() -> None:
    with pytest.raises(ValueError, match="no main model"):
        RunnableRails(plain()).invoke("hi")


# --- tracing -------------------------------------------------------------------------------------------------------


class Told(BaseCallbackHandler):
    """Keeps all that it is told."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.chains: list[str | None] = []

    def on_llm_new_token(self, token: str, **kwargs: Any) -> None:
        self.tokens.append(token)

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.chains.append(kwargs.get("name"))


class Tracer(BaseTracer):
    """Keeps the runs that ended."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Any] = []

    def _persist_run(self, run: Any) -> None:
        self.runs.append(run)


def test_handlers_see_the_step_and_tracers_what_is_in_it() -> None:
    told, tracer = Told(), Tracer()
    rails = RunnableRails(gated(), llm=chat("the secret is"))
    list(rails.stream("hi", config={"callbacks": [told, tracer], "tags": ["t"]}))
    assert told.chains == ["RunnableRails"]
    assert told.tokens == []
    (run,) = tracer.runs
    assert [(child.name, child.run_type, child.tags) for child in run.child_runs] == [("Chat", "llm", ["t"])]


async def test_events_of_a_stream_tell_only_what_the_rails_let_out() -> None:
    rails = RunnableRails(gated(), llm=chat("the secret is"))
    events = [event async for event in rails.astream_events("hi", version="v2")]
    assert {event["name"] for event in events} == {"RunnableRails"}
    assert "secret" not in str([event["data"] for event in events])


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


def test_the_double_is_a_chat_model_of_langchain() -> None:
    assert isinstance(chat("x").invoke("q"), AIMessage)
    assert isinstance(chat("x"), Chat)
