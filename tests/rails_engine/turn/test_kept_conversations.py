"""Conversations kept between turns: what was used longest ago goes first, and what prompts quoted is not quoted anew."""

from __future__ import annotations

import pytest

from colang.v1 import State
from rails_engine import stories
from rails_engine.chat import ChatMessage
from rails_engine.prompts import FILTERS, History
from rails_engine.replies import Reply
from rails_engine.saved import begin_story, story_after
from rails_engine.stories import Stories


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
