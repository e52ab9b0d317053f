"""What no conversation can take: a typed error that says where, in both dialects, and nothing is lost by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from rails_engine.errors import InvalidRequestError, InvalidStateError

TALK_2 = """
import core

flow main
  activate talk
  match NeverHappens()

flow talk
  global $user_message
  user said something as $said
  bot say "heard {$said.transcript}"
"""


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def circle() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["again"] = [value, value]
    return value


MEGABYTE = "x" * 1_000_000
BAD: dict[str, Callable[[], list[Any]]] = {
    "a message of 10 MB": lambda: [user(MEGABYTE * 10)],
    "10 MB in parts": lambda: [user([{"type": "text", "text": MEGABYTE}] * 10)],
    "10 MB in the context": lambda: [{"role": "context", "content": {"a": MEGABYTE * 10}}, user("hi")],
    "10,000 messages": lambda: [user("hi")] * 10_000,
    "a NUL": lambda: [user("a\x00b")],
    "an escape": lambda: [user("\x1b[31mred")],
    "a control character in a part": lambda: [user([{"type": "text", "text": "a\x07"}])],
    "a lone surrogate": lambda: [user("half \ud83d")],
    "a lone surrogate in an answer": lambda: [{"role": "assistant", "content": "\udc00"}, user("hi")],
    "a lone surrogate in a key": lambda: [{"role": "context", "content": {"\ud800": 1}}, user("hi")],
    "a lone surrogate in a tool call": lambda: [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "\ud800"}]},
        user("hi"),
    ],
    "deep data": lambda: [{"role": "context", "content": {"a": deep(5_000)}}, user("hi")],
    "deep parts": lambda: [user(deep(5_000))],
    "a circle": lambda: [{"role": "context", "content": circle()}, user("hi")],
    "no message": lambda: ["hi"],
    "no role": lambda: [{"content": "hi"}],
    "another role": lambda: [{"role": "root", "content": "hi"}],
    "a role that is no text": lambda: [{"role": ["user"], "content": "hi"}],
    "no content": lambda: [{"role": "user"}],
    "content None": lambda: [user(None)],
    "a number": lambda: [user(5)],
    "bytes": lambda: [user(b"hi")],
    "a mapping": lambda: [user({"text": "hi"})],
    "a part that is none": lambda: [user([5])],
    "a part without a type": lambda: [user([{"image": "x"}])],
    "a context that is none": lambda: [{"role": "context", "content": "x"}, user("hi")],
    "a context with a key that is no text": lambda: [{"role": "context", "content": {1: 2}}, user("hi")],
    "a number of thousands of digits": lambda: [
        {"role": "context", "content": {"a": 10**5000}},
        user("hi"),
    ],
    "a part whose text is none": lambda: [user([{"type": "text", "text": {"a": 1}}])],
    "calls that are none": lambda: [called("x"), user("hi")],
    "a call that is none": lambda: [called(["x"]), user("hi")],
    "a call of a function that is none": lambda: [called([{"id": "c1", "function": "f"}]), user("hi")],
    "an update of no variables": lambda: [
        {"role": "event", "event": {"type": "ContextUpdate", "data": 5}},
        user("hi"),
    ],
    "an event that is none": lambda: [{"role": "event", "event": "x"}],
    "an event whose type is no text": lambda: [{"role": "event", "event": {"type": 5}}, user("hi")],
}


def called(calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": calls}


EVENTS: list[Any] = [None, "x", 5, [5], [{}], [{"type": 5}], [{"type": "ContextUpdate", "data": 5}]]


@pytest.mark.parametrize("events", EVENTS)
async def test_what_is_no_list_of_events_is_refused(events: Any) -> None:
    with pytest.raises(InvalidRequestError):
        await opened("1.0").generate_events_async(events)
    for version in ("1.0", "2.x"):
        with pytest.raises(InvalidRequestError):
            await opened(version).process_events_async(events)


def opened(version: str, extra: str = "") -> LLMRails:
    yaml = f'colang_version: "{version}"\nmodels: []\n{extra}\n'
    colang = None if version == "1.0" else TALK_2
    return LLMRails(RailsConfig.from_content(colang, yaml), llm=FakeLLMModel(responses=["heard hi"] * 9))


@pytest.mark.parametrize("version", ["1.0", "2.x"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_bad_messages_are_refused_and_the_conversation_goes_on(
    version: str, bad: Callable[[], list[Any]]
) -> None:
    app = opened(version)
    begun = [user("hi")]
    begun.append(dict(await app.generate_async(messages=begun)))
    with pytest.raises(InvalidRequestError):
        await app.generate_async(messages=[*begun, *bad()])
    with pytest.raises(InvalidRequestError):
        _ = [piece async for piece in app.stream_async(messages=[*begun, *bad()])]
    with pytest.raises(InvalidRequestError):
        await app.check_async([*begun, *bad()])
    reply = dict(await app.generate_async(messages=[*begun, user("hi")]))
    assert reply == {"role": "assistant", "content": "heard hi"}


@pytest.mark.parametrize("version", ["1.0", "2.x"])
async def test_tabs_and_breaks_are_text(version: str) -> None:
    reply = dict(await opened(version).generate_async(messages=[user("a\tb\r\nc\x0cd\u202e\x85")]))
    assert str(reply["content"]).startswith("heard")


@pytest.mark.parametrize("version", ["1.0", "2.x"])
async def test_the_bounds_are_the_configurations(version: str) -> None:
    app = opened(
        version, "limits: {max_messages: 2, max_characters: 20, max_depth: 3, control_characters: allow}"
    )
    assert "heard" in str(dict(await app.generate_async(messages=[user("a\x00b")]))["content"])
    many = {"role": "context", "content": {"a": [None] * 21}}
    for messages in (
        [user("a")] * 3,
        [user("x" * 21)],
        [many],
        [{"role": "context", "content": {"a": deep(4)}}],
    ):
        with pytest.raises(InvalidRequestError, match=r"\(limits\.max_"):
            await app.generate_async(messages=messages)


@pytest.mark.parametrize(
    "events", [["x"], [{}], [{"type": "A", "data": deep(99)}], [{"type": "A", "x": "\ud800"}]]
)
async def test_bad_events_are_refused_and_the_state_stands(events: list[Any]) -> None:
    app = opened("2.x")
    hi = [{"type": "UtteranceUserActionFinished", "final_transcript": "hi"}]
    _, state = await app.process_events_async([])
    with pytest.raises(InvalidRequestError):
        await app.process_events_async(events, state)
    output, _ = await app.process_events_async(hi, state)
    assert output


@pytest.mark.parametrize("version", ["1.0", "2.x"])
async def test_a_state_that_nests_without_end_is_refused(version: str) -> None:
    app = opened(version)
    endless: Any = deep(100_000)
    states = [{"events": [endless]}, {"events": [{"type": "X", "data": endless}]}]
    for state in states if version == "1.0" else [{"version": 1, "uid": "u", "machine": endless}]:
        with pytest.raises(InvalidStateError):
            await app.generate_async(messages=[user("hi")], state=state)


def test_a_state_of_brackets_is_refused() -> None:
    from nemoguardrails.colang.v2_x.runtime.serialization import json_to_state

    for text in ("[" * 100_000, json.dumps([]), "nul"):
        with pytest.raises(InvalidStateError):
            json_to_state(text)
