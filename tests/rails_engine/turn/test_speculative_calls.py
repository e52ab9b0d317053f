"""Model calls made ahead, and conversations kept: each call is taken once, and what was used longest ago goes first."""

from __future__ import annotations

import asyncio

import pytest

from colang.v1 import State
from rails_engine import stories
from rails_engine.chat import ChatMessage
from rails_engine.llm import LLMCall, LLMRequest, ScriptedLLM
from rails_engine.prompts import FILTERS, History
from rails_engine.replies import Reply
from rails_engine.saved import begin_story, story_after
from rails_engine.speculative_calls import SpeculationEndedError, SpeculativeCalls
from rails_engine.stories import Stories
from rails_engine.streaming import Frame, Outlet, relay

ASKED = LLMRequest(prompt="q")


async def test_a_call_that_is_made_twice_is_taken_twice_and_then_asked_anew() -> None:
    model, calls, told = ScriptedLLM(["one", "two"]), SpeculativeCalls(), []
    for _ in range(2):
        calls.begin(model, ASKED, "general")
    answers = []
    while (taken := calls.take(model, ASKED, "general", told.append)) is not None:
        answers.append("".join([chunk.text async for chunk in taken]))
    assert answers == ["one", "two"]
    assert [call.completion.text for call in told if isinstance(call, LLMCall)] == ["one", "two"]
    await calls.close(told.append)
    assert len(told) == 2


async def test_nothing_more_is_begun_once_the_turn_itself_asks() -> None:
    model, calls = ScriptedLLM(["one"]), SpeculativeCalls()
    assert calls.take(model, ASKED, "general", print) is None
    with pytest.raises(SpeculationEndedError):
        calls.begin(model, ASKED, "general")
    assert model.requests == []


async def test_the_reader_of_a_stream_that_somebody_else_ends_is_told() -> None:
    async def produce(outlet: Outlet) -> None:
        outlet.give(Frame("word"))
        raise asyncio.CancelledError

    frames = [frame.text async for frame in relay(produce)]
    assert frames[0] == "word"
    assert "generation_error" in frames[1]
    assert len(frames) == 2


def test_the_conversation_that_was_used_last_is_kept_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories, "KEPT", 2)
    kept = Stories()

    def said(text: str) -> list[ChatMessage]:
        return [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]

    def keep(text: str) -> None:
        kept.keep(kept.longest(said(text)[:1]), Reply("yes"), begin_story())

    keep("a")
    keep("b")
    assert kept.longest(said("a")).length == 2
    keep("c")
    assert [kept.longest(said(text)).length for text in "abc"] == [2, 0, 2]


def test_of_a_long_conversation_the_latest_events_are_kept_for_prompts() -> None:
    events = [{"type": "UserMessage", "text": str(number)} for number in range(700)]
    kept = story_after(begin_story(), State(), events)
    assert [event["text"] for event in kept.events] == [str(number) for number in range(200, 700)]
    turn = [*kept.events, {"type": "Listen"}, {"type": "UserMessage", "text": "700"}]
    later = story_after(kept, State(), turn)
    assert [event["text"] for event in later.events] == [str(number) for number in range(201, 701)]


@pytest.mark.parametrize("name", ["to_chat_messages", "colang", "user_assistant_sequence"])
def test_what_was_quoted_in_one_turn_is_quoted_alike_in_the_next(name: str) -> None:
    """Also where a text is masked later on, and where the beginning of a long conversation is forgotten."""
    quote, story = FILTERS[name], begin_story()
    for number in range(300):
        events = History(story.events, story.quotes.take())
        if number % 3:
            assert quote(events) == quote(list(events))
            assert quote(events.since(number)) == quote(events[number:])
        for kind, key in (("UserMessage", "text"), ("Listen", "at"), ("StartUtteranceBotAction", "script")):
            events.append({"type": kind, key: f"{kind} {number}"})
        assert quote(events) == quote(list(events))
        if number in {20, 21, 290}:
            events.append({"type": "mask_prev_user_message"})
        story = story_after(story, State(), events)


def test_what_was_quoted_goes_to_the_first_turn_that_asks_for_it() -> None:
    """Users' models may change messages that they are handed: no two turns have the same."""
    events = History([{"type": "UserMessage", "text": "hi"}], begin_story().quotes.take())
    FILTERS["to_chat_messages"](events)
    story = story_after(begin_story(), State(), events)
    assert [line["content"] for line in story.quotes.take().past.lines] == ["hi"]
    assert story.quotes.take().past.lines == []
    assert begin_story().quotes.take() is not begin_story().quotes.take()
