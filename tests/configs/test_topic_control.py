"""A guard model that keeps the conversation to its topics."""

from __future__ import annotations

from tests.configs.guarded import REFUSAL, answering, open_config, said


async def test_only_what_is_on_topic_is_answered() -> None:
    guard = answering({"museum of clocks[\\s\\S]*vote": "off-topic", "museum of clocks": "on-topic"})
    rails = open_config("topic_control", {"main": answering({}), "topic_control": guard})
    assert await said(rails, "when do you open?") == "fine"
    assert await said(rails, "whom should I vote for?") == REFUSAL


async def test_the_guard_sees_the_whole_conversation() -> None:
    guard = answering({}, "on-topic")
    rails = open_config("topic_control", {"main": answering({}), "topic_control": guard})
    history = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "welcome"},
        {"role": "user", "content": "and the tickets?"},
    ]
    await rails.generate_async(messages=history)
    shown = [(message.role, message.content) for message in guard.requests[-1].messages[1:]]
    assert shown == [("user", "hello"), ("assistant", "welcome"), ("user", "and the tickets?")]


async def test_another_answer_lets_nothing_pass() -> None:
    main = answering({})
    rails = open_config("topic_control", {"main": main, "topic_control": answering({}, "sure!")})
    assert await said(rails, "when do you open?") != "fine"
    assert main.requests == []
