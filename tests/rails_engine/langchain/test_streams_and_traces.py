"""`RunnableRails` in streams, in batches and in loops, and what callbacks and tracers are told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import (
    AIMessageChunk,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompt_values import StringPromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import BaseTracer

from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.integrations.langchain.runnable_rails import RunnableRails
from tests.rails_engine.langchain.models import CALL, CALLING, HI, chat, gated, plain, weather


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


def test_a_batch_is_answered_in_order_with_errors_in_their_places() -> None:
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


def test_a_model_that_fails_reaches_the_caller() -> None:
    rails = RunnableRails(gated(), llm=chat(ValueError("boom")))
    with pytest.raises(LLMCallException, match="boom"):
        rails.invoke("hi")
    assert rails.with_fallbacks([RunnableLambda(lambda _: "other")]).invoke("hi") == "other"
    again = RunnableRails(gated(), llm=chat(ValueError("boom"), "ok"))
    assert again.with_retry(wait_exponential_jitter=False).invoke("hi") == "ok"


def test_without_any_model_the_caller_is_told() -> None:
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
