"""What a model thinks goes out with what it says, or not at all: through the front door of both dialects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, LLMResponseChunk, ToolCall, ToolCallFunction
from tests.rails_engine.gates import ANSWERING, GATE_OUT_1, GATE_OUT_2

CALL = ToolCall(id="c1", type="function", function=ToolCallFunction(name="f", arguments={}))


class Thinking(FakeLLMModel):
    """Streams what it is given: pieces of text, and of reasoning where they stand in brackets; then perhaps a call."""

    def __init__(self, *pieces: str, calls: bool = False) -> None:
        self.pieces = pieces
        self.calls = [CALL] if calls else None
        texts = [piece for piece in pieces if not piece.startswith("[")]
        thoughts = [piece.strip("[]") for piece in pieces if piece.startswith("[")]
        whole = LLMResponse("".join(texts), reasoning="".join(thoughts), tool_calls=self.calls)
        super().__init__(llm_responses=[whole])

    async def stream_async(self, prompt: Any, **_: Any) -> AsyncIterator[LLMResponseChunk]:
        del prompt
        for piece in self.pieces:
            thought = piece.strip("[]") if piece.startswith("[") else None
            yield LLMResponseChunk(delta_content="" if thought else piece, delta_reasoning=thought)
        yield LLMResponseChunk(delta_tool_calls=self.calls, finish_reason="stop")


TOOLS_1 = """
define bot no tool
  "no tool"
define subflow gate tools
  $ok = execute permit
  if not $ok
    bot no tool
    stop
"""
TOOLS_2 = """
flow gate tools
  $ok = await PermitAction()
  if not $ok
    bot say "no tool"
    abort
"""
ONE, TWO = GATE_OUT_1 + TOOLS_1, ANSWERING + GATE_OUT_2 + TOOLS_2
DIALECTS = {"1.0": (ONE, "passthrough: true\n"), "2.x": (TWO, 'colang_version: "2.x"\n')}
WINDOW = "output: {flows: [gate out], streaming: {chunk_size: 2, context_size: 1}}"


class Permitting:
    """The actions of an output rail, which sees text and reasoning, and of one over tool calls."""

    def __init__(self, *, permits: bool) -> None:
        self.permits = permits
        self.seen: list[tuple[str, Any]] = []

    async def look(self, text: str, context: dict[str, Any]) -> RailOutcome:
        self.seen.append((text, context.get("bot_thinking")))
        return RailOutcome.block() if "bad" in f"{text}{context.get('bot_thinking')}" else RailOutcome.allow()

    async def permit(self) -> bool:
        return self.permits


def thinking(
    dialect: str, model: FakeLLMModel, rails: str = "", source: str = "", *, permits: bool = True
) -> tuple[LLMRails, Permitting]:
    """Rails over a model that thinks; `rails` is what stands in `rails:`."""
    usual, yaml = DIALECTS[dialect]
    app = LLMRails(
        RailsConfig.from_content(source or usual, f"models: []\n{yaml}rails: {{{rails}}}\n"), llm=model
    )
    actions = Permitting(permits=permits)
    for name in ("look", "permit"):
        app.register_action(
            getattr(actions, name), name if dialect == "1.0" else f"{name.capitalize()}Action"
        )
    return app, actions


async def frames(app: LLMRails) -> list[Any]:
    asked = [{"role": "user", "content": "x"}]
    return [frame async for frame in app.stream_async(messages=asked, include_metadata=True)]


def thoughts_of(told: list[Any]) -> list[str]:
    thoughts = [frame.get("metadata", {}).get("reasoning_content", "") for frame in told]
    return [thought for thought in thoughts if thought]


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
async def test_without_rails_reasoning_goes_out_as_it_comes(dialect: str) -> None:
    app, _ = thinking(dialect, Thinking("[so ", "[so]", "a ", "b", "[ well]"))
    told = await frames(app)
    assert [frame["text"] for frame in told if frame["text"]] == ["a ", "b"]
    assert thoughts_of(told) == ["so ", "so", " well"]
    assert told[0]["text"] == ""


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
@pytest.mark.parametrize("last", ["[ well]", "[ bad]"])
async def test_rails_see_reasoning_with_its_text_and_what_comes_behind_it_too(
    dialect: str, last: str
) -> None:
    app, actions = thinking(dialect, Thinking("[so ", "[so]", "a ", "b", last), WINDOW)
    told = await frames(app)
    assert thoughts_of(told) == ["so so", " well"][: 2 if "well" in last else 1]
    assert actions.seen == [("a b", "so so"), ("b", f"so so{last.strip('[]')}")]
    assert any('"content_blocked"' in frame["text"] for frame in told) == ("bad" in last)


GUARDED = {
    "tool rails": "tool_output: {flows: [gate tools]}",
    "both": "tool_output: {flows: [gate tools]}, " + WINDOW,
}


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
@pytest.mark.parametrize("rails", GUARDED)
@pytest.mark.parametrize("permits", [True, False])
async def test_reasoning_behind_a_call_of_tools_comes_with_the_call_or_not_at_all(
    dialect: str, rails: str, permits: bool
) -> None:
    model = Thinking("[call ", "[it]", calls=True)
    app, _ = thinking(dialect, model, GUARDED[rails], permits=permits)
    told = await frames(app)
    called = [frame for frame in told if "tool_calls" in frame.get("metadata", {})]
    assert thoughts_of(called) == thoughts_of(told) == (["call it"] if permits else [])
    assert ("no tool" in told[0]["text"]) is not permits
    reply = await app.generate_async(messages=[{"role": "user", "content": "x"}], options={"llm_params": {}})
    assert model.inference_count == 1
    assert (reply.reasoning_content, bool(reply.tool_calls)) == (("call it" if permits else None), permits)


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
async def test_reasoning_behind_a_call_is_told_once_though_some_has_gone_out_with_a_text(
    dialect: str,
) -> None:
    app, _ = thinking(dialect, Thinking("[so ", "a", "[call it]", calls=True), GUARDED["tool rails"])
    told = await frames(app)
    assert thoughts_of(told) == ["so ", "call it"]


async def test_reasoning_between_a_text_and_a_refused_call_is_withheld_with_the_call() -> None:
    model = Thinking("[so ]", "a", "[call it]", calls=True)
    app, _ = thinking("1.0", model, GUARDED["tool rails"], permits=False)
    told = await frames(app)
    assert thoughts_of(told) == ["so "]
    assert "no tool" in "".join(frame["text"] for frame in told)


async def test_a_second_answer_of_a_turn_does_not_tell_the_reasoning_of_the_first_again() -> None:
    source = TWO.replace(
        "bot say $answer",
        'bot say $answer\n  $next = await PassthroughLLMAction(user_message="y")\n  bot say $next',
    )
    model = Thinking("[so]", "a")
    app, _ = thinking("2.x", model, source=source)
    assert thoughts_of(await frames(app)) == ["so", "so"]


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
@pytest.mark.parametrize("reach", ["", ", reach: 4"])
@pytest.mark.parametrize("pieces", [["a ", "b", ""], [""]])
async def test_reasoning_from_elsewhere_is_judged_though_no_text_comes_with_it(
    dialect: str, reach: str, pieces: list[str]
) -> None:
    app, actions = thinking(dialect, Thinking("a"), WINDOW[:-2] + reach + "}}")

    async def given() -> AsyncIterator[dict[str, Any]]:
        for piece in pieces:
            yield {"text": piece, "metadata": {} if piece else {"reasoning_content": "bad"}}

    asked = [{"role": "user", "content": "x"}]
    told = [f async for f in app.stream_async(messages=asked, generator=given(), include_metadata=True)]
    assert thoughts_of(told) == []
    assert '"content_blocked"' in told[-1]["text"]
    assert actions.seen[-1][1] == "bad"


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("text", ["bad", "fine"])
async def test_calls_beside_a_text_that_is_refused_are_withheld_though_the_text_waits(
    text: str, streamed: bool
) -> None:
    app, _ = thinking(
        "2.x",
        Thinking(text, calls=True),
        WINDOW,
        TWO.replace("bot say $answer", "if $answer\n    bot say $answer"),
    )
    if streamed:
        assert any("tool_calls" in frame.get("metadata", {}) for frame in await frames(app)) == (
            text == "fine"
        )
    else:
        reply = await app.generate_async(messages=[{"role": "user", "content": "x"}])
        assert ("tool_calls" in reply) == (text == "fine")


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
@pytest.mark.parametrize("parallel", ["", ", parallel: true"])
async def test_reasoning_stays_with_an_answer_that_is_refused(dialect: str, parallel: str) -> None:
    app, actions = thinking(dialect, Thinking("[so]", "a ", "bad"), WINDOW[:-1] + parallel + "}")
    reply = await app.generate_async(
        messages=[{"role": "user", "content": "x"}], options={"log": {"activated_rails": True}}
    )
    assert (reply.response[0]["content"], reply.reasoning_content) == ("no out", None)
    assert actions.seen == [("a bad", "so")]
    app, _ = thinking(dialect, Thinking("[so]", "a ", "bad"), WINDOW[:-1] + parallel + "}")
    assert (await app.generate_async(messages=[{"role": "user", "content": "x"}]))["content"] == "no out"
