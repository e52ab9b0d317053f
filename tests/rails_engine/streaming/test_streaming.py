"""Streams through the front door, in both dialects: order of verdict and release, frames, handlers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.context import streaming_handler_var
from nemoguardrails.exceptions import LLMCallException, LLMServerError, StreamingNotSupportedError
from nemoguardrails.streaming import StreamingHandler
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, ToolCall, ToolCallFunction, UsageInfo
from tests.rails_engine.gates import MASK_OUT_1, MASK_OUT_2, Looking

ONE = (
    MASK_OUT_1
    + """
define bot no in
  "no in"
define subflow gate in
  if "bad" in $user_message
    bot no in
    stop
"""
)
TWO = (
    MASK_OUT_2
    + """
import core
flow main
  match Never()
flow gate in
  global $user_message
  if "bad" in $user_message
    bot say "no in"
    abort
"""
)
OWN_HOOKS = TWO + "flow input rails $input_text\n  gate in\nflow output rails $output_text\n  gate out\n"

LISTED = "rails:\n  input: {flows: [gate in]}\n  output: {flows: [gate out], streaming: {chunk_size: 2, context_size: 1}}\n"
UNLISTED = "rails:\n  output: {streaming: {chunk_size: 2, context_size: 1}}\n"

DIALECTS = {
    "1.0": (ONE, "models: []\n" + LISTED),
    "2.x listed": (TWO, 'models: []\ncolang_version: "2.x"\n' + LISTED),
    "2.x hooks": (OWN_HOOKS, 'models: []\ncolang_version: "2.x"\n' + UNLISTED),
}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


async def pieces_of(text: str) -> AsyncIterator[str]:
    for piece in text.split(" "):
        yield f"{piece} "


def guarded(dialect: str, llm: Any = None, extra: str = "") -> tuple[LLMRails, Looking]:
    colang, yaml = DIALECTS[dialect]
    app, looking = LLMRails(RailsConfig.from_content(colang, yaml + extra), llm=llm), Looking()
    app.register_action(looking.look, "look")
    return app, looking


async def frames(app: LLMRails, text: str = "x", **given: Any) -> list[Any]:
    return [frame async for frame in app.stream_async(messages=[user(text)], **given)]


def error_of(frame: Any) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(frame["text"] if isinstance(frame, dict) else frame)["error"]
    return error


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_answer_from_elsewhere_goes_out_as_its_windows_pass(dialect: str) -> None:
    app, looking = guarded(dialect)
    assert "".join(await frames(app, generator=pieces_of("a b c d"))) == "a b c d "
    assert looking.seen == ["a b ", "b c ", "c d "]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_nothing_of_a_refused_window_goes_out(dialect: str) -> None:
    app, _ = guarded(dialect)
    *out, last = await frames(app, generator=pieces_of("a b bad d e"))
    assert "".join(out) == "a "  # the rail may rewrite: the end of a window waits for the next
    wanted = {"type": "guardrails_violation", "param": "gate out", "code": "content_blocked"}
    assert {key: error_of(last)[key] for key in wanted} == wanted


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_what_the_rails_write_goes_out_in_place_of_what_was_held(dialect: str) -> None:
    app, _ = guarded(dialect)
    assert "".join(await frames(app, generator=pieces_of("a secret c d"))) == "a ****** c d "


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_rail_that_cannot_judge_holds_its_window_back(dialect: str) -> None:
    app, _ = guarded(dialect)
    *out, last = await frames(app, generator=pieces_of("a b boom d"))
    assert "".join(out) == "a "  # the rail may rewrite: the end of a window waits for the next
    assert error_of(last)["code"] == "rail_execution_failure"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refused_question_is_the_end_of_an_answer_from_elsewhere(dialect: str) -> None:
    app, looking = guarded(dialect)
    given = Given("a b c")
    assert await frames(app, "bad", generator=given) == ["no in"]
    assert given.taken == 0
    assert "a b " not in looking.seen


class Given:
    """A generator that counts what was taken and knows that it was closed."""

    def __init__(self, text: str) -> None:
        self._pieces = iter(text.split(" "))
        self.taken = 0
        self.closed = False

    def __aiter__(self) -> Given:
        return self

    async def __anext__(self) -> str:
        piece = next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        self.taken += 1
        return piece

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_reader_that_leaves_closes_the_generator(dialect: str) -> None:
    app, _ = guarded(dialect)
    given = Given("a b c " * 1000)
    stream = app.stream_async(messages=[user("x")], generator=given)
    assert await anext(stream) == "a"
    await stream.aclose()
    assert given.closed
    assert given.taken < 1000


async def test_each_window_of_a_model_is_judged_once_and_the_whole_not_again() -> None:
    app, looking = guarded("1.0", FakeLLMModel(["one two three"]))
    assert await frames(app) == ["one", " two", " three"]
    assert looking.seen == ["one two", " two three"]


async def test_what_is_released_first_is_judged_all_the_same() -> None:
    colang, yaml = DIALECTS["1.0"]
    eager = yaml.replace("context_size: 1", "context_size: 1, stream_first: true")
    app = LLMRails(RailsConfig.from_content(colang, eager), llm=FakeLLMModel(["one bad three four"]))
    app.register_action(Looking().look, "look")
    *out, last = await frames(app)
    assert out == ["one", " bad"]
    assert error_of(last)["code"] == "content_blocked"


async def test_rails_side_by_side_refuse_a_window_as_in_a_row() -> None:
    colang, yaml = DIALECTS["1.0"]
    second = "define subflow second gate\n  $other = execute look(text=$bot_message)\n"
    beside = yaml.replace("{flows: [gate out]", "{parallel: true, flows: [second gate, gate out]")
    for answer, heard in (("one two three", "one two three"), ("one secret three", "one ****** three")):
        app = LLMRails(RailsConfig.from_content(colang + second, beside), llm=FakeLLMModel([answer]))
        app.register_action(Looking().look, "look")
        assert "".join(await frames(app)) == heard
    app = LLMRails(RailsConfig.from_content(colang + second, beside), llm=FakeLLMModel(["one bad three"]))
    app.register_action(Looking().look, "look")
    assert error_of((await frames(app))[-1])["param"] == "gate out"


THINKING = LLMResponse(
    content="one two three",
    reasoning="let me see",
    usage=UsageInfo(input_tokens=3, output_tokens=4, total_tokens=7),
)


async def test_reasoning_and_usage_stand_beside_the_text() -> None:
    app, _ = guarded("1.0", FakeLLMModel(llm_responses=[THINKING, THINKING]))
    told = await frames(app, include_metadata=True)
    assert "".join(frame["text"] for frame in told) == "one two three"
    reasoning = [frame["metadata"].get("reasoning_content") for frame in told if "metadata" in frame]
    assert "let me see" in reasoning
    assert told[-1]["metadata"]["usage"] == {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    assert "".join(await frames(app)) == "one two three"


async def test_reasoning_and_tool_calls_are_withheld_with_the_text_that_is_refused() -> None:
    call = ToolCall(id="c1", type="function", function=ToolCallFunction(name="f", arguments={}))
    refused = LLMResponse(content="bad", reasoning="let me see", tool_calls=[call])
    app, _ = guarded("1.0", FakeLLMModel(llm_responses=[refused]), "passthrough: true\n")
    told = await frames(app, include_metadata=True)
    assert error_of(told[0])["code"] == "content_blocked"
    assert not any({"reasoning_content", "tool_calls"} & set(frame.get("metadata", ())) for frame in told)


async def test_tool_calls_come_once_their_rails_have_passed() -> None:
    calls = [ToolCall(id=f"c{n}", function=ToolCallFunction(name=f"f{n}", arguments={})) for n in range(2)]
    app, _ = guarded(
        "1.0", FakeLLMModel(llm_responses=[LLMResponse(content="", tool_calls=calls)]), "passthrough: true\n"
    )
    told = await frames(app, include_metadata=True)
    (frame,) = [frame for frame in told if "tool_calls" in frame.get("metadata", ())]
    assert [call["function"]["name"] for call in frame["metadata"]["tool_calls"]] == ["f0", "f1"]


@pytest.mark.parametrize(
    ("failure", "wanted"),
    [
        (LLMServerError(503, "down"), {"type": "downstream_error", "code": 503}),
        (OSError("no route"), {"type": "generation_error", "code": "generation_failed"}),
    ],
)
@pytest.mark.parametrize("framed", [False, True])
async def test_a_failing_model_ends_the_stream_with_a_frame(
    failure: Exception, wanted: dict[str, Any], framed: bool
) -> None:
    app, _ = guarded("1.0", FakeLLMModel(llm_exception=failure))
    (frame, *_) = await frames(app, include_metadata=framed)
    assert isinstance(frame, dict) is framed
    assert {key: error_of(frame)[key] for key in wanted} == wanted


@pytest.mark.parametrize("dialect", ["1.0", "2.x listed"])
async def test_an_exception_of_a_rail_is_a_frame_of_the_stream(dialect: str) -> None:
    colang, yaml = DIALECTS[dialect]
    raising = colang.replace(
        "bot no in\n    stop", 'create event InputRailException(message="not this")\n    stop'
    )
    raising = raising.replace('bot say "no in"', 'send InputRailException(message="not this")')
    app = LLMRails(RailsConfig.from_content(raising, yaml), llm=FakeLLMModel(["never"]))
    (frame,) = await frames(app, "bad", generator=pieces_of("a b"))
    assert error_of(frame)["message"] == "not this"


async def test_streaming_that_is_switched_off_is_refused() -> None:
    for dialect in ("1.0", "2.x listed"):
        colang, yaml = DIALECTS[dialect]
        off = yaml.replace("streaming: {", "streaming: {enabled: false, ")
        app = LLMRails(RailsConfig.from_content(colang, off))
        with pytest.raises(StreamingNotSupportedError):
            await frames(app, generator=pieces_of("a"))


# --- handlers ------------------------------------------------------------------------------------------------------


async def heard(handler: StreamingHandler) -> list[Any]:
    return [piece async for piece in handler]


async def test_a_handler_reads_along_and_the_call_returns_what_it_always_does() -> None:
    app, _ = guarded("1.0", FakeLLMModel(llm_responses=[THINKING]))
    handler = StreamingHandler()
    options = {"log": {"activated_rails": True}}
    reply = await app.generate_async(messages=[user("x")], options=options, streaming_handler=handler)
    assert await heard(handler) == ["one", " two", " three"]
    assert (reply.response, reply.reasoning_content) == (
        [{"role": "assistant", "content": "one two three"}],
        "let me see",
    )
    assert "gate out" in [rail.name for rail in reply.log.activated_rails]


async def test_a_refused_answer_returns_the_refusal_and_ends_the_handler_with_a_frame() -> None:
    app, _ = guarded("1.0", FakeLLMModel(["one two bad four"]))
    handler = StreamingHandler()
    reply = await app.generate_async(messages=[user("x")], streaming_handler=handler)
    assert reply == {"role": "assistant", "content": "no out"}
    *out, last = await heard(handler)
    assert out == ["one"]
    assert error_of(last)["code"] == "content_blocked"


async def test_a_failing_model_reaches_caller_and_handler() -> None:
    app, _ = guarded("1.0", FakeLLMModel(llm_exception=OSError("down")))
    handler = StreamingHandler()
    with pytest.raises(LLMCallException):
        await app.generate_async(messages=[user("x")], streaming_handler=handler)
    assert error_of((await heard(handler))[0])["type"] == "generation_error"


async def test_a_streamed_conversation_goes_on_where_it_stood() -> None:
    colang = """
define user tea
  "tea please"
define user milk
  "with milk"
define bot ask milk
  "Milk?"
define bot pour
  "Here you are."
define flow
  user tea
  bot ask milk
  user milk
  bot pour
"""
    app = LLMRails(RailsConfig.from_content(colang, "models: []"), llm=FakeLLMModel(["tea", "milk"]))
    first = "".join([piece async for piece in app.stream_async(messages=[user("a")])])
    messages = [user("a"), {"role": "assistant", "content": first}, user("b")]
    assert "".join([piece async for piece in app.stream_async(messages=messages)]) == "Here you are."


WRITING = """
define flow run dialog rails
  event UserMessage(text="...")
  $answer = execute write
  bot $answer
"""


@pytest.mark.parametrize(("words", "out"), [("so it is", ["so", " it", " is", "said"]), ("so bad", [])])
async def test_an_action_writes_to_who_reads_along_through_the_output_rails(
    words: str, out: list[str]
) -> None:
    colang, yaml = DIALECTS["1.0"]
    app = LLMRails(RailsConfig.from_content(colang + WRITING, yaml))
    app.register_action(Looking().look, "look")

    async def write() -> str:
        handler = streaming_handler_var.get()
        for word in words.split(" "):
            await handler.push_chunk(word if word == "so" else f" {word}")
        return "said"

    app.register_action(write, "write")
    told = await frames(app)
    assert [piece for piece in told if not piece.startswith("{")] == out
    assert len(told) == len(out) + (not out)
    handler = StreamingHandler()
    reply = await app.generate_async(messages=[user("x")], streaming_handler=handler)
    assert reply["content"] == ("said" if out else "no out")
    assert streaming_handler_var.get() is None


async def test_reasoning_that_a_model_writes_into_its_text_is_told_apart() -> None:
    written = "<think>let me see</think>the answer"
    app = LLMRails(RailsConfig.from_content("", "models: []"), llm=FakeLLMModel([written] * 3))
    told = await frames(app, include_metadata=True)
    assert "".join(frame["text"] for frame in told) == "the answer"
    reasoning = "".join(frame.get("metadata", {}).get("reasoning_content", "") for frame in told)
    assert reasoning == "let me see"
    assert "".join(await frames(app)) == "the answer"
    reply = await app.generate_async(messages=[user("x")], options={"rails": ["dialog"]})
    assert (reply.response[0]["content"], reply.reasoning_content) == ("the answer", "let me see")
