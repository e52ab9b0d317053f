"""Messages to turns, outputs to replies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.chat import reply_of, turns_of
from rails_engine.errors import InvalidRequestError
from rails_engine.message_digest import digest

USER = {"role": "user", "content": "hi"}


def test_an_assistant_message_ends_a_turn() -> None:
    turns = turns_of([USER, {"role": "assistant", "content": "hello"}, {"role": "user", "content": "bye"}])
    assert [[event["final_transcript"] for event in turn.events] for turn in turns] == [["hi"], ["bye"]]


def test_context_event_and_tool_messages_become_events() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "context", "content": {"place": "Rome"}},
        {"role": "event", "event": {"type": "Arrived"}},
        {"role": "tool", "tool_call_id": "t1", "name": "WeatherAction", "content": "sunny"},
        {"role": "system", "content": "ignored"},
    ]
    events = turns_of(messages)[0].events
    assert [event["type"] for event in events] == ["ContextUpdate", "Arrived", "WeatherActionFinished"]
    assert events[2]["action_uid"] == "t1"


@pytest.mark.parametrize(
    "message",
    [
        "text",
        {"role": "user"},
        {"role": "user", "content": 5},
        {"role": "context", "content": "x"},
        {"role": "event"},
        {"role": "tool", "content": "sunny"},
    ],
)
def test_a_malformed_message_is_refused_by_its_place(message: Any) -> None:
    with pytest.raises(InvalidRequestError, match=r"messages\[0\]"):
        turns_of([message])


def test_a_reply_joins_texts_and_lists_tools_and_other_events() -> None:
    reply = reply_of(
        [
            {"type": "UtteranceBotActionFinished", "final_script": "a"},
            {"type": "StartWeatherAction", "action_uid": "w", "city": "Oslo", "uid": "u"},
            {"type": "UtteranceBotActionFinished", "final_script": "b"},
            {"type": "Custom", "n": 1},
        ]
    )
    assert reply["content"] == "a\nb"
    assert reply["tool_calls"] == [
        {"id": "w", "type": "function", "function": {"name": "WeatherAction", "arguments": {"city": "Oslo"}}}
    ]
    assert reply["events"] == [{"type": "Custom", "n": 1}]


def test_the_polling_timer_of_the_library_is_no_tool_of_the_caller() -> None:
    timer = {"type": "StartTimerBotAction", "timer_name": "llm_response_polling", "action_uid": "t"}
    reply = reply_of([timer, {"type": "StopTimerBotAction", "action_uid": "t"}])
    assert reply == {"role": "assistant", "content": ""}


PARTS = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text(max_size=8)), max_size=4)


@given(PARTS, PARTS)
def test_different_conversations_have_different_digests(one: list[Any], other: list[Any]) -> None:
    digests = [digest([{"role": role, "content": text} for role, text in parts]) for parts in (one, other)]
    assert (digests[0] == digests[1]) == (one == other)
