"""Colang 1.0 through the front door: rails, dialog, streaming, states."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from colang import ColangRuntimeError
from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.exceptions import InvalidStateError, LLMCallException, RailTypeNotConfiguredError
from nemoguardrails.rails.llm.options import RailType
from nemoguardrails.testing import FakeLLMModel, TestChat
from nemoguardrails.types import LLMResponse

TEA = """
define user tea
  "tea please"
define bot pour
  "Here is tea."
define bot asks sugar
  "Sugar?"
define flow
  user tea
  bot pour
  bot asks sugar
"""

GATES = """
define bot no in
  "no in"
define bot no out
  "no out"
define subflow gate in
  if "bad" in $user_message
    bot no in
    stop
define subflow gate out
  if "bad" in $bot_message
    bot no out
    stop
"""
GATED = """
models: []
rails:
  input: {flows: [gate in]}
  output: {flows: [gate out]}
"""


def rails(colang: str, *answers: str, yaml: str = "models: []\n") -> LLMRails:
    return LLMRails(RailsConfig.from_content(colang, yaml), llm=FakeLLMModel(responses=list(answers)))


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def test_an_intent_is_answered_by_its_flow() -> None:
    chat = TestChat(RailsConfig.from_content(TEA, "models: []"), ["tea"])
    chat >> "one tea"
    chat << "Here is tea.\nSugar?"


def test_the_tokens_of_a_scripted_chat_are_counted() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    chat = TestChat(RailsConfig.from_content(None, "models: []"), ["fine"], token_usage=[usage])
    reply = chat.app.generate(messages=[user("hi")], options={"log": {"llm_calls": True}})
    assert (reply.log.llm_calls[0].prompt_tokens, reply.log.stats.llm_calls_total_tokens) == (3, 5)


def test_without_intents_the_model_answers() -> None:
    assert rails("", "hello").generate(prompt="hi") == "hello"


@pytest.mark.parametrize(
    ("said", "answers", "heard"),
    [
        ("fine", ["good answer"], "good answer"),
        ("bad", [], "no in"),
        ("fine", ["bad answer"], "no out"),
    ],
)
def test_input_and_output_rails_stand_around_the_model(said: str, answers: list[str], heard: str) -> None:
    assert rails(GATES, *answers, yaml=GATED).generate(prompt=said) == heard


def test_after_a_refusal_the_conversation_goes_on() -> None:
    app = rails(GATES, "good answer", yaml=GATED)
    messages = [user("bad")]
    messages.append(app.generate(messages=messages))
    assert app.generate(messages=[*messages, user("fine")]) == bot("good answer")


@pytest.mark.parametrize("parallel", [True, False])
def test_rails_side_by_side_decide_as_in_a_row(parallel: bool) -> None:
    colang = GATES + "define subflow slow gate\n  $ok = execute slowly\n"
    yaml = f"models: []\nrails:\n  input:\n    parallel: {str(parallel).lower()}\n    flows: [slow gate, gate in]\n"
    app = rails(colang, "fine", yaml=yaml)

    async def slowly() -> bool:
        await asyncio.sleep(0.01)
        return True

    app.register_action(slowly)
    assert app.generate(prompt="bad") == "no in"
    reply = app.generate(prompt="good", options={"output_vars": ["ok"]})
    assert (reply.response, reply.output_data) == ("fine", {"ok": True})


def test_a_rail_that_raises_blocks() -> None:
    colang = "define subflow broken\n  $x = execute boom\n"
    app = rails(colang, "never said", yaml="models: []\nrails:\n  input: {flows: [broken]}\n")

    async def boom() -> None:
        raise ValueError

    app.register_action(boom)
    assert "internal error" in app.generate(prompt="x")


def test_only_the_rails_that_a_request_names_run() -> None:
    app = rails(GATES, "bad answer", yaml=GATED)
    reply = app.generate(messages=[user("bad")], options={"rails": {"input": [], "output": ["gate out"]}})
    assert reply.response == [bot("no out")]


def test_the_log_tells_which_rail_did_what() -> None:
    app = rails(GATES, "good answer", yaml=GATED)
    reply = app.generate(messages=[user("bad")], options={"log": {"activated_rails": True}})
    (rail,) = reply.log.activated_rails
    assert (rail.type, rail.name, rail.stop) == ("input", "gate in", True)
    assert rail.decisions[0] == "no in"
    assert reply.log.stats.input_rails_duration is not None


@pytest.mark.parametrize("kind", ["input", "output"])
def test_a_rail_that_waits_has_stopped_the_turn(kind: str) -> None:
    colang = "define flow gate\n  event Nod\n  bot say hello\n"
    app = rails(colang, "good answer", yaml=f"rails: {{{kind}: {{flows: [gate]}}}}\n")
    reply = app.generate(messages=[user("tea")], options={"log": {"activated_rails": True}})
    rail = reply.log.activated_rails[-1]
    assert reply.response[0]["content"] == ""
    assert (rail.name, rail.decisions, rail.stop) == ("gate", ["stop"], True)


def test_check_asks_no_model() -> None:
    app = rails(GATES, yaml=GATED)
    blocked = app.check([user("bad")])
    assert (blocked.status.value, blocked.content, blocked.rail) == ("blocked", "no in", "gate in")
    assert app.check([user("x"), bot("bad")]).rail == "gate out"
    assert app.check([bot("bad")]).rail == "gate out"
    assert app.check([]).status.value == "passed"
    assert app.check([user("x"), bot("y")]).status.value == "passed"
    with pytest.raises(RailTypeNotConfiguredError):
        rails("").check([user("x")], rail_types=[RailType.INPUT])


def test_a_state_of_plain_data_goes_on_in_another_instance() -> None:
    colang = (
        TEA
        + 'define user cake\n  "cake"\ndefine bot serve\n  "Here is cake."\ndefine flow\n  user cake\n  bot serve\n'
    )
    first = rails(colang, "tea").generate(messages=[user("a")], state={})
    assert set(first.state) == {"events"}
    saved = json.loads(json.dumps(first.state))
    second = rails(colang, "cake").generate(messages=[user("b")], state=saved)
    assert second.response == [bot("Here is cake.")]


def test_each_state_of_a_conversation_is_plain_data_and_stays_as_it_was() -> None:
    app = rails(TEA, *["tea"] * 9)
    states: list[Any] = [{}]
    for turn in range(3):
        states.append(app.generate(messages=[user(f"tea {turn}")], state=states[-1]).state)
    written = [json.dumps(state) for state in states]
    assert json.loads(written[-1]) == states[-1]
    app.generate(messages=[user("once more")], state=states[2])
    assert [json.dumps(state) for state in states] == written
    texts = [event["text"] for event in states[-1]["events"] if event["type"] == "UserMessage"]
    assert texts == ["tea 0", "tea 1", "tea 2"]


@pytest.mark.parametrize("state", [{"foo": 1}, {"events": "text"}, {"events": [], "more": 1}, 5])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(InvalidStateError):
        rails("", "x").generate(messages=[user("a")], state=state)


def test_nothing_is_told_of_what_a_failed_call_did_not_bring() -> None:
    app = LLMRails(
        RailsConfig.from_content("", "models: []"), llm=FakeLLMModel(llm_exception=OSError("gone"))
    )
    assert (app.explain().llm_calls, app.explain().colang_history) == ([], None)
    with pytest.raises(LLMCallException):
        app.generate(prompt="hi")
    told = app.explain()
    assert ([call.completion for call in told.llm_calls], told.colang_history) == ([None], None)


def test_a_model_that_fails_reaches_the_caller_with_its_cause() -> None:
    app = LLMRails(
        RailsConfig.from_content("", "models: []"), llm=FakeLLMModel(llm_exception=OSError("down"))
    )
    with pytest.raises(LLMCallException) as caught:
        app.generate(prompt="x")
    assert isinstance(caught.value.inner_exception, OSError)


STREAMED = GATED.replace("[gate out]}", "[gate out], streaming: {chunk_size: 2, context_size: 1}}")


async def streamed(app: LLMRails, text: str = "x") -> list[Any]:
    return [piece async for piece in app.stream_async(messages=[user(text)])]


async def test_nothing_is_streamed_before_its_window_has_passed() -> None:
    assert "".join(await streamed(rails(GATES, "one two three four", yaml=STREAMED))) == "one two three four"
    pieces = await streamed(rails(GATES, "one two bad four five", yaml=STREAMED))
    assert "bad" not in "".join(pieces[:-1])
    assert json.loads(pieces[-1])["error"]["param"] == "gate out"


async def test_a_blocked_input_streams_the_refusal_alone() -> None:
    assert await streamed(rails(GATES, "never", yaml=STREAMED), "bad") == ["no in"]


async def test_an_answer_from_elsewhere_passes_the_same_rails() -> None:
    async def elsewhere(*pieces: str) -> Any:
        for piece in pieces:
            yield piece

    app = rails(GATES, yaml=STREAMED)
    good = [p async for p in app.stream_async(messages=[user("x")], generator=elsewhere("a ", "b ", "c"))]
    assert "".join(good) == "a b c"
    refused = [p async for p in app.stream_async(messages=[user("bad")], generator=elsewhere("a"))]
    assert refused == ["no in"]


async def test_streamed_and_predefined_messages_keep_their_order() -> None:
    colang = TEA + "define flow\n  user ...\n  bot pour\n  bot praise\n"
    pieces = await streamed(rails(colang.replace("  user tea\n", "  user never\n"), "cake", '"Well done"'))
    assert "".join(pieces) == "Here is tea.\nWell done"


async def test_what_a_flow_says_is_streamed_message_by_message() -> None:
    assert await streamed(rails(TEA, "tea")) == ["Here is tea.", "\nSugar?"]


def test_events_in_give_events_out() -> None:
    events = rails(TEA, "tea").generate_events(
        [{"type": "UtteranceUserActionFinished", "final_transcript": "hi"}]
    )
    kinds = [event["type"] for event in events]
    assert kinds[-1] == "Listen"
    assert [event["script"] for event in events if event["type"] == "StartUtteranceBotAction"] == [
        "Here is tea.",
        "Sugar?",
    ]


def test_a_flow_of_the_configuration_replaces_one_of_the_system() -> None:
    colang = 'define flow run dialog rails\n  event UserMessage(text="...")\n  bot own answer\ndefine bot own answer\n  "mine"\n'
    assert rails(colang).generate(prompt="x") == "mine"


async def test_conversations_share_nothing() -> None:
    class Echo(FakeLLMModel):
        async def generate_async(self, prompt: Any, **_: Any) -> Any:
            from nemoguardrails.types import LLMResponse

            await asyncio.sleep(0)
            return LLMResponse(content=str(prompt[-1].content))

    app = LLMRails(RailsConfig.from_content(GATES, GATED), llm=Echo())

    async def talk(nonce: str) -> list[str]:
        messages: list[Any] = []
        for turn in range(3):
            messages.append(user(f"{nonce}-{turn}"))
            messages.append(await app.generate_async(messages=messages))
        return [message["content"] for message in messages[1::2]]

    heard = await asyncio.gather(*(talk(f"n{number}") for number in range(64)))
    assert heard == [[f"n{n}-{turn}" for turn in range(3)] for n in range(64)]


def test_each_message_of_a_user_is_checked_wherever_it_stands() -> None:
    app = rails(GATES, "good answer", "another", yaml=GATED)
    assert app.generate(messages=[user("bad"), user("fine")]) == bot("no in")
    older = [user("bad news"), bot("an answer from elsewhere"), user("fine")]
    assert app.generate(messages=older) == bot("good answer")
    prompts = "\n".join(call.prompt or "" for call in app.explain().llm_calls)
    assert "fine" in prompts
    assert "bad news" not in prompts


def test_of_several_messages_of_a_user_the_last_is_answered_and_all_are_quoted() -> None:
    app = rails("", "good answer", "another")
    given = [user("first"), {"role": "system", "content": "be brief"}, user("second")]
    assert app.generate(messages=given) == bot("good answer")
    prompt = app.explain().llm_calls[0].prompt or ""
    assert prompt.index("first") < prompt.index("be brief") < prompt.index("second")
    app.generate(messages=[*given, bot("good answer"), user("third")])
    prompt = app.explain().llm_calls[-1].prompt or ""
    assert [prompt.count(text) for text in ("first", "be brief", "second", "good answer", "third")] == [1] * 5


def test_an_action_that_asks_for_the_events_sees_all_of_them() -> None:
    seen: list[str] = []

    async def look(events: list[dict[str, Any]]) -> None:
        seen.extend(event["type"] for event in events)

    app = rails("define subflow look around\n  $x = 1\n  execute look\n", "hi", yaml=LOOKING)
    app.register_action(look)
    app.generate(messages=[user("hello")])
    assert seen == [
        "UtteranceUserActionFinished",
        "ContextUpdate",
        *("StartInternalSystemAction", "InternalSystemActionFinished", "StartInputRails"),
        "ContextUpdate",
        *("StartInternalSystemAction", "InternalSystemActionFinished", "StartInputRail"),
        "ContextUpdate",
        "StartInternalSystemAction",
    ]


LOOKING = "models: []\nrails: {input: {flows: [look around]}}\n"


def test_a_flow_that_calls_none_reaches_the_caller_as_a_key_error() -> None:
    app = rails('define user tea\n  "tea"\ndefine flow\n  user tea\n  do what nobody wrote\n', "tea")
    with pytest.raises(KeyError, match="what nobody wrote") as raised:
        app.generate(messages=[user("tea")])
    assert isinstance(raised.value, ColangRuntimeError)


def test_a_dialog_that_stops_has_no_rail_that_stopped() -> None:
    app = rails(
        'define user tea\n  "tea"\ndefine bot pour\n  "Tea."\ndefine flow\n  user tea\n  bot pour\n  stop\n',
        "tea",
    )
    reply = app.generate(messages=[user("tea")], options={"log": {"activated_rails": True}})
    assert reply.log.activated_rails[-1].decisions[-1] == "stop"
    assert not any(rail.stop for rail in reply.log.activated_rails)


def test_a_context_alone_is_nothing_to_check() -> None:
    checked = rails(GATES, yaml=GATED).check([{"role": "context", "content": {"key": "value"}}])
    assert (checked.status.value, checked.content) == ("passed", "")


@pytest.mark.parametrize("with_reasoning", [True, False])
def test_a_dialog_goes_on_behind_an_answer_with_reasoning(with_reasoning: bool) -> None:
    colang = """
define user ask
  "a question"
define user thank
  "thanks"
define bot welcome
  "You are welcome."
define flow
  user ask
  bot answer at length
  user thank
  bot welcome
"""
    answers = [LLMResponse("ask"), LLMResponse("so it is", reasoning="hm"), LLMResponse("thank")]
    app = LLMRails(RailsConfig.from_content(colang, "models: []"), llm=FakeLLMModel(llm_responses=answers))
    first = app.generate(messages=[user("why")])
    assert first == bot("<think>hm</think>\nso it is")
    written = first if with_reasoning else bot("so it is")
    assert app.generate(messages=[user("why"), written, user("ta")]) == bot("You are welcome.")


ASKED = """
define user tea
  "tea please"
define bot serve
  "$cups"
define subflow count first
  # How many cups?
  $counted = ...
define flow
  user tea
  # How many cups?
  $cups = ...
  bot serve
"""


@pytest.mark.parametrize("options", [None, {"log": {"internal_events": True}}], ids=["unread", "read"])
@pytest.mark.parametrize(
    ("listed", "answers", "names"),
    [
        ("", ("tea", "2"), ["cups"]),
        ("rails: {input: {flows: [count first]}}", ("1", "tea", "2"), ["counted", "cups"]),
    ],
)
async def test_a_model_that_is_asked_for_a_value_is_told_its_variable(
    listed: str, answers: tuple[str, ...], names: list[str], options: dict[str, Any] | None
) -> None:
    prompt = "prompts: [{task: generate_value, content: 'V {{ var_name }} {{ instructions }}'}]\n"
    app = rails(ASKED, *answers, yaml=f"models: []\n{prompt}{listed}")
    await app.generate_async(messages=[user("tea please")], options=options)
    asked = [call.prompt for call in app.explain().llm_calls if call.task == "generate_value"]
    assert asked == [f"V {name} How many cups?" for name in names]
