"""`speculative_generation`: models are asked while the input rails judge, and nothing else happens before the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, LLMResponseChunk, UsageInfo
from tests.rails_engine.gates import GATE_IN_1, GATE_IN_2

PATIENCE_S = 20.0


class Story:
    """What happened, in order. The rail gives its verdict when the model has been asked, or the test lets it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.asked = asyncio.Event()
        self.judged = asyncio.Event()


class Model(FakeLLMModel):
    """Tells when it is asked, when it has answered, and when it was stopped; answers after the verdict."""

    def __init__(self, story: Story, answers: list[str]) -> None:
        usage = UsageInfo(input_tokens=3, output_tokens=4, total_tokens=7)
        super().__init__(llm_responses=[LLMResponse(content=text, usage=usage) for text in answers])
        self._story = story

    async def generate_async(self, prompt: Any, **_: Any) -> LLMResponse:
        return await self._answered()

    async def stream_async(self, prompt: Any, **_: Any) -> AsyncIterator[LLMResponseChunk]:
        answer = await self._answered()
        for word in answer.content.split(" "):
            yield LLMResponseChunk(delta_content=f" {word}")
        yield LLMResponseChunk(usage=answer.usage)

    async def _answered(self) -> LLMResponse:
        self._story.told.append("asked")
        self._story.asked.set()
        try:
            await asyncio.wait_for(self._story.judged.wait(), PATIENCE_S)
        except asyncio.CancelledError:
            self._story.told.append("stopped")
            raise
        self._story.told.append("answered")
        return self._next_response()


LIBRARY = """
import core
import llm
import passthrough
flow main
  activate llm continuation
  match Never()
"""
LISTED = "rails: {input: {flows: [gate in], speculative_generation: true}}\n"
DIALECTS: Mapping[str, tuple[str, str]] = {
    "1.0": (GATE_IN_1, "models: []\n" + LISTED),
    "2.x": (LIBRARY + GATE_IN_2, 'models: []\ncolang_version: "2.x"\n' + LISTED),
}
INTENT = "user intent: user asked something"


def opened(dialect: str, story: Story, answers: list[str], extra: str = "") -> LLMRails:
    colang, yaml = DIALECTS[dialect]
    app = LLMRails(RailsConfig.from_content(colang + extra, yaml), llm=Model(story, answers))

    async def look(text: str) -> RailOutcome:
        story.told.append("judging")
        await asyncio.wait_for(story.asked.wait(), PATIENCE_S)
        story.told.append("judged")
        story.judged.set() if "bad" not in text else None
        return RailOutcome.block() if "bad" in text else RailOutcome.allow()

    app.register_action(look, "look")
    return app


def answers_of(dialect: str) -> list[str]:
    return ["good answer"] if dialect == "1.0" else [INTENT, "good answer"]


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_model_is_asked_while_the_rails_judge_and_only_once(dialect: str) -> None:
    story = Story()
    app = opened(dialect, story, answers_of(dialect))
    reply = await app.generate_async(messages=user("fine"))
    assert reply["content"] == "good answer"
    assert set(story.told[:2]) == {"judging", "asked"}
    assert story.told.count("asked") == len(answers_of(dialect))
    assert len(app.explain().llm_calls) == len(answers_of(dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_refusal_stops_the_model_and_the_record_keeps_the_call(dialect: str) -> None:
    story = Story()
    app = opened(dialect, story, answers_of(dialect))
    reply = await app.generate_async(messages=user("bad"), options={"log": {"llm_calls": True}})
    assert reply.response[-1]["content"] == "no in"
    assert story.told[-1] == "stopped"
    assert [call.completion for call in reply.log.llm_calls] == [""]


async def test_a_stream_begins_with_the_verdict_and_ends_with_the_refusal() -> None:
    story = Story()
    stream = opened("1.0", story, ["good answer"]).stream_async(messages=user("fine"))
    assert [piece async for piece in stream] == ["good", " answer"]
    assert set(story.told[:2]) == {"judging", "asked"}
    story = Story()
    stream = opened("1.0", story, ["good answer"]).stream_async(messages=user("bad"))
    assert [piece async for piece in stream] == ["no in"]
    assert story.told[-1] == "stopped"


async def test_what_was_written_before_a_refusal_is_counted() -> None:
    answered = asyncio.Event()

    class Quick(FakeLLMModel):
        async def generate_async(self, prompt: Any, **_: Any) -> LLMResponse:
            answered.set()
            return self._next_response()

    usage = UsageInfo(input_tokens=3, output_tokens=4, total_tokens=7)
    quick = Quick(llm_responses=[LLMResponse(content="good answer", usage=usage)])
    app = LLMRails(RailsConfig.from_content(*DIALECTS["1.0"]), llm=quick)

    async def look(text: str) -> RailOutcome:
        await asyncio.wait_for(answered.wait(), PATIENCE_S)
        await asyncio.sleep(0.01)
        return RailOutcome.block(reason=text)

    app.register_action(look, "look")
    reply = await app.generate_async(messages=user("x"), options={"log": {"llm_calls": True}})
    assert reply.response[-1]["content"] == "no in"
    assert reply.log.stats.llm_calls_total_tokens == 7


async def test_nothing_that_others_registered_runs_before_the_verdict() -> None:
    colang = """
define user tea
  "tea please"
define flow
  user tea
  $done = execute brew
  bot pour
define bot pour
  "Here you are."
"""
    for said, brewed in (("fine", 1), ("bad", 0)):
        story, brewings = Story(), []
        app = opened("1.0", story, ["tea"], colang)

        async def brew(brewings: list[bool] = brewings, story: Story = story) -> bool:
            brewings.append(story.judged.is_set())
            return True

        app.register_action(brew, "brew")
        await app.generate_async(messages=user(said))
        assert brewings == [True] * brewed


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_message_that_a_rail_may_rewrite_reaches_no_model_before(dialect: str) -> None:
    colang, yaml = DIALECTS[dialect]
    masking = colang.replace(
        "  if $outcome.is_blocked",
        "  if $outcome.is_transform\n    $user_message = $outcome.transform_text\n  if $outcome.is_blocked",
    )
    story = Story()
    story.judged.set()
    app = LLMRails(RailsConfig.from_content(masking, yaml), llm=Model(story, answers_of(dialect)))

    async def look(text: str) -> RailOutcome:
        story.told.append("judged")
        return RailOutcome.transform([("user_message", text.upper())])

    app.register_action(look, "look")
    await app.generate_async(messages=user("secret"))
    assert story.told[:2] == ["judged", "asked"]
    if dialect == "1.0":
        assert all("secret" not in (call.prompt or "") for call in app.explain().llm_calls)


async def test_a_model_that_fails_ahead_fails_the_turn_once_the_rails_have_passed() -> None:
    failing = FakeLLMModel(llm_exception=OSError("down"))
    app = LLMRails(RailsConfig.from_content(*DIALECTS["1.0"]), llm=failing)

    async def look(text: str) -> RailOutcome:
        return RailOutcome.block() if "bad" in text else RailOutcome.allow()

    app.register_action(look, "look")
    assert (await app.generate_async(messages=user("bad")))["content"] == "no in"
    with pytest.raises(Exception, match="down"):
        await app.generate_async(messages=user("fine"))
