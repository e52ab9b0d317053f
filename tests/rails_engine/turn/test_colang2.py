"""Colang 2.x through the front door: messages, events, actions, states."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.actions import ActionResult
from nemoguardrails.colang.v2_x.runtime.serialization import json_to_state, state_to_json
from nemoguardrails.exceptions import InvalidStateError, LLMCallException
from nemoguardrails.testing import FakeLLMModel

YAML = 'colang_version: "2.x"\nmodels: []\n'

COUNTER = """
import core
flow main
  global $n
  $n = 0
  while True
    user said something as $u
    $n = $n + 1
    bot say "{$n} {$u.transcript}"
"""


def rails(colang: str, llm: Any = None, yaml: str = YAML) -> LLMRails:
    return LLMRails(RailsConfig.from_content(colang, yaml), llm=llm)


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def said(text: str) -> dict[str, str]:
    return {"type": "UtteranceUserActionFinished", "final_transcript": text}


def test_messages_are_answered_by_a_message_and_a_prompt_by_a_text() -> None:
    app = rails(COUNTER)
    assert app.generate(messages=[user("hi")]) == bot("1 hi")
    assert app.generate(prompt="hi") == "1 hi"


def test_each_call_without_history_is_a_conversation_of_its_own() -> None:
    app = rails(COUNTER)
    assert [app.generate(prompt=text) for text in ("a", "b")] == ["1 a", "1 b"]


@pytest.mark.parametrize("same", [True, False])
def test_a_conversation_goes_on_over_its_list_of_messages(same: bool) -> None:
    app = rails(COUNTER)
    first = app.generate(messages=[user("a")])
    other = app if same else rails(COUNTER)
    assert other.generate(messages=[user("a"), first, user("b")]) == bot("2 b")


def test_a_state_is_a_dictionary_of_json_that_another_instance_continues() -> None:
    first = rails(COUNTER).generate(messages=[user("a")], state={})
    saved = json.loads(json.dumps(first.state))
    second = rails(COUNTER).generate(messages=[user("b")], state=saved)
    assert second.response == [bot("2 b")]


@pytest.mark.parametrize("state", [{"foo": 1}, {"version": 1}, "text", 5])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(InvalidStateError):
        rails(COUNTER).generate(messages=[user("a")], state=state)


async def test_a_live_state_goes_on_in_place_and_over_json() -> None:
    app = rails(COUNTER)
    _, state = await app.process_events_async([said("a")])
    events, _ = await app.process_events_async([{"type": "Tick"}], state)
    assert not events
    copy = json_to_state(state_to_json(state))
    reply = await app.generate_async(messages=[user("b")], state=copy)
    assert reply.response == [bot("")]  # the first utterance has not ended in this state


async def test_a_failed_turn_leaves_the_state_as_it_was() -> None:
    colang = """
import core
import llm
flow main
  while True
    user said something as $u
    $v = ..."a number"
    bot say "{$v}"
"""
    model = FakeLLMModel(responses=["1"])
    app = rails(colang, model)
    live = (await app.process_events_async([]))[1]
    before = state_to_json(live)
    failing = rails(colang, FakeLLMModel(llm_exception=RuntimeError("down")))
    with pytest.raises(LLMCallException):
        await failing.process_events_async([said("x")], live, blocking=True)
    assert state_to_json(live) == before
    events, _ = await app.process_events_async([said("x")], live, blocking=True)
    assert [event["script"] for event in events if "script" in event] == ["1"]


def test_a_tool_call_is_answered_in_a_later_turn() -> None:
    colang = """
import core
flow main
  user said something
  $r = await WeatherAction(city="Oslo")
  bot say "It is {$r}."
  match Never()
"""
    app = rails(colang)
    first = app.generate(messages=[user("weather?")], state={})
    call = first.response[0]["tool_calls"][0]
    assert call["function"] == {"name": "WeatherAction", "arguments": {"city": "Oslo"}}
    result = {"role": "tool", "tool_call_id": call["id"], "name": "WeatherAction", "content": "sunny"}
    assert app.generate(messages=[result], state=first.state).response == [bot("It is sunny.")]


def test_output_variables_and_the_log_come_back() -> None:
    reply = rails(COUNTER).generate(
        messages=[user("a")],
        options={"output_vars": ["n", "nope"], "log": {"colang_history": True, "internal_events": True}},
    )
    assert reply.output_data == {"n": 1, "nope": None}
    assert 'bot action: bot say "1 a"' in reply.log.colang_history
    assert "UtteranceUserActionFinished" in {event["type"] for event in reply.log.internal_events}


ACTION = """
import core
flow main
  global $seen
  user said something as $u
  $r = await WorkAction(text=$u.transcript)
  bot say "{$r} {$seen}"
  match Never()
"""


async def test_an_action_gets_what_its_parameters_name_and_may_write_variables() -> None:
    async def work(text: str, context: dict[str, Any], config: RailsConfig, table: str) -> ActionResult:
        seen = f"{config.colang_version} {table} {'last_bot_message' in context}"
        return ActionResult(return_value=text.upper(), context_updates={"seen": seen})

    app = rails(ACTION).register_action(work, "WorkAction").register_action_param("table", "t")
    assert (await app.generate_async(messages=[user("go")]))["content"].startswith("GO 2.x t")


async def test_an_action_that_raises_gives_none_and_the_flow_goes_on() -> None:
    async def work(text: str) -> None:
        raise ValueError(text)

    app = rails(ACTION).register_action(work, "WorkAction")
    assert await app.generate_async(messages=[user("go")]) == bot("None None")


async def test_actions_of_a_group_run_side_by_side() -> None:
    colang = """
import core
flow main
  user said something
  await MeetAction(n=1) and MeetAction(n=2)
  bot say "both met"
"""
    barrier = asyncio.Barrier(2)

    async def meet(n: int) -> int:
        await asyncio.wait_for(barrier.wait(), 5)
        return n

    app = rails(colang).register_action(meet, "MeetAction")
    assert await app.generate_async(messages=[user("go")]) == bot("both met")


async def test_a_stream_gives_each_utterance_and_ends_with_an_error_frame_where_the_model_fails() -> None:
    app = rails('import core\nflow main\n  user said something\n  bot say "a"\n  bot say "b"\n')
    assert [piece async for piece in app.stream_async(prompt="x")] == ["a", "\nb"]
    colang = 'import core\nimport llm\nflow main\n  user said something\n  $v = ..."a number"\n'
    failing = rails(colang, FakeLLMModel(llm_exception=RuntimeError("down")))
    frames = [json.loads(piece) async for piece in failing.stream_async(prompt="x")]
    assert [frame["error"]["type"] for frame in frames] == ["generation_error"]


async def test_the_synchronous_api_refuses_inside_a_running_loop() -> None:
    with pytest.raises(RuntimeError, match="generate_async"):
        rails(COUNTER).generate(prompt="x")


def test_flows_that_answer_each_other_for_ever_end_with_the_call() -> None:
    colang = """
flow main
  activate ping
  activate pong
  match Never()
flow ping
  match Ping() as $e
  send Pong(n=$e.n + 1)
@loop("b")
flow pong
  match Pong() as $e
  send Ping(n=$e.n + 1)
"""
    events, state = rails(colang).process_events([{"type": "Ping", "n": 0}])
    assert 400 < len(events) <= 500
    assert rails(colang).process_events([{"type": "Other"}], state)[0] == []


def test_conversations_share_nothing() -> None:
    app = rails(COUNTER)

    async def talk(nonce: str) -> list[str]:
        state = None
        heard = []
        for turn in range(3):
            events, state = await app.process_events_async([said(f"{nonce}-{turn}")], state)
            heard += [event["script"] for event in events if "script" in event]
            uid = events[0]["action_uid"]
            end = {"type": "UtteranceBotActionFinished", "action_uid": uid, "is_success": True}
            _, state = await app.process_events_async([{**end, "final_script": ""}], state)
        return heard

    async def all_of_them() -> list[list[str]]:
        return await asyncio.gather(*(talk(str(number)) for number in range(64)))

    heard = asyncio.run(all_of_them())
    assert heard == [[f"{turn + 1} {n}-{turn}" for turn in range(3)] for n in range(64)]


def test_the_author_of_a_flow_that_fails_is_told_where(caplog: pytest.LogCaptureFixture) -> None:
    rails("import core\n\nflow main\n  $text = await user said something\n  bot say $text.length\n").generate(
        messages=[user("hello")]
    )
    assert "main.co:5:3: in flow `main`" in caplog.text
    assert "Attribute 'length' does not exist" in caplog.text


def test_the_author_of_a_flow_that_waits_for_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    rails("import core\n\nflow main\n  activate llm continuation\n")
    assert "main.co:4:12: warning: there is no flow `llm continuation`" in caplog.text
