"""Rails with `parallel: true`, in both dialects: all at once, the first refusal ends the others, rewrites add up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.streaming import StreamingHandler
from nemoguardrails.testing import FakeLLMModel
from tests.rails_engine.gates import ANSWERING

TWO = (
    ANSWERING
    + """
flow no $word
  global $user_message
  $bad = await LookAction(text=$user_message, word=$word)
  if $bad
    bot say "no {$word}"
    abort
flow never say $word
  global $bot_message
  $bad = await LookAction(text=$bot_message, word=$word)
  if $bad
    bot say "not {$word}"
    abort
flow hide $word
  global $user_message
  $user_message = await HideAction(text=$user_message, word=$word)
flow hide in answer $word
  global $bot_message
  $bot_message = await HideAction(text=$bot_message, word=$word)
flow count
  global $counted
  $counted = 5
flow fail
  await FailAction()
"""
)
ONE = """
define flow no a
  $bad = execute look(text=$user_message, word="a")
  if $bad
    bot no a
    stop
define flow no b
  $bad = execute look(text=$user_message, word="b")
  if $bad
    bot no b
    stop
define bot no a
  "no a"
define bot no b
  "no b"
define bot not a
  "not a"
define flow hide x
  $user_message = execute hide(text=$user_message, word="x")
define flow hide y
  $user_message = execute hide(text=$user_message, word="y")
define flow hide x in answer
  $bot_message = execute hide(text=$bot_message, word="x")
define flow hide y in answer
  $bot_message = execute hide(text=$bot_message, word="y")
define flow never say a
  $bad = execute look(text=$bot_message, word="a")
  if $bad
    bot not a
    stop
define flow count
  $counted = 5
define flow fail
  execute fail
"""


@dataclass
class App:
    """A configuration, what its actions did, and what its model was asked."""

    rails: LLMRails
    model: FakeLLMModel
    done: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self, text: str, word: str) -> bool:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            # Whoever looks for `b` waits for everybody else.
            await asyncio.sleep(30 if word == "b" and "wait" in text else 0.001)
        except asyncio.CancelledError:
            self.done.append(f"{word} cancelled")
            raise
        finally:
            self.at_once -= 1
        self.done.append(word)
        self.looked.set()
        return word in text.replace("wait", "").split()

    async def hide(self, text: str, word: str) -> str:
        return text.replace(word, "*")

    async def fail(self) -> None:
        raise ValueError("no verdict")

    async def say(self, text: str, **options: Any) -> Any:
        return await self.rails.generate_async(messages=[{"role": "user", "content": text}], **options)


def app(dialect: str, flows_in: str = "", flows_out: str = "", answer: str = "fine", more: str = "") -> App:
    settings = f"""
colang_version: "{dialect}"
passthrough: true
models: []
{more}
rails:
  input: {{parallel: true, flows: [{flows_in}]}}
  output: {{parallel: true, flows: [{flows_out}], streaming: {{chunk_size: 4, context_size: 2}}}}
"""
    model = FakeLLMModel(responses=[answer] * 5)
    rails = LLMRails(RailsConfig.from_content(TWO if dialect == "2.x" else ONE, settings), llm=model)
    made = App(rails, model)
    for name, action in (("look", made.look), ("hide", made.hide), ("fail", made.fail)):
        rails.register_action(action, name if dialect == "1.0" else f"{name.capitalize()}Action")
    return made


NO = {"1.0": "no a, no b", "2.x": "\"no 'a'\", \"no 'b'\""}
HIDE = {"1.0": "hide x, hide y", "2.x": "\"hide 'x'\", \"hide 'y'\""}
HIDE_OUT = {
    "1.0": "hide x in answer, hide y in answer",
    "2.x": "\"hide in answer 'x'\", \"hide in answer 'y'\"",
}
both = pytest.mark.parametrize("dialect", ["1.0", "2.x"])


@both
async def test_rails_run_at_once(dialect: str) -> None:
    made = app(dialect, NO[dialect])
    reply = await made.say("hello")
    assert (reply["content"], made.most_at_once, sorted(made.done)) == ("fine", 2, ["a", "b"])


@both
async def test_the_first_refusal_ends_the_others(dialect: str) -> None:
    made = app(dialect, NO[dialect])
    reply = await made.say("a wait")
    assert (reply["content"], made.done) == ("no a", ["a", "b cancelled"])
    assert not made.model.inference_count


async def test_an_answer_is_stopped_once() -> None:
    made = app("1.0", flows_out="never say a, count", answer="a")
    reply = await made.say("hello", options={"log": {"internal_events": True}})
    intents = [event["intent"] for event in reply.log.internal_events if event["type"] == "BotIntent"]
    assert intents == ["not a", "stop"]


@both
async def test_two_that_refuse_say_one_thing(dialect: str) -> None:
    reply = await app(dialect, NO[dialect]).say("a b")
    assert reply["content"] in ("no a", "no b")


@both
async def test_what_several_rewrite_is_rewritten_by_all(dialect: str) -> None:
    made = app(dialect, HIDE[dialect], HIDE_OUT[dialect], answer="an x and a y")
    assert (await made.say("x or y"))["content"] == "an * and a *"
    (asked,) = made.rails.explain().llm_calls
    assert "* or *" in asked.prompt
    assert "x or y" not in asked.prompt


@both
async def test_what_several_rewrite_in_a_stream_is_rewritten_by_all(dialect: str) -> None:
    made = app(dialect, "", HIDE_OUT[dialect], answer="one x and two y and x and y then")
    pieces = made.rails.stream_async(messages=[{"role": "user", "content": "hi"}])
    assert "".join([str(piece) async for piece in pieces]) == "one * and two * and * and * then"


@both
async def test_a_rail_that_fails_blocks(dialect: str) -> None:
    made = app(dialect, f"{HIDE[dialect]}, fail")
    assert (await made.say("x"))["content"] == "I'm sorry, an internal error has occurred."
    assert not made.model.inference_count


@both
async def test_what_rails_assign_is_kept(dialect: str) -> None:
    made = app(dialect, f"{NO[dialect]}, count")
    result = await made.say("hello", options={"output_vars": ["counted"]})
    assert result.output_data == {"counted": 5}


@pytest.mark.parametrize("text", ["hello", "a b"])
async def test_a_request_chooses_among_them(text: str) -> None:
    made = app("2.x", NO["2.x"])
    result = await made.say(text, options={"rails": {"input": ["no 'b'"]}})
    assert made.done == ["b"]
    assert result.response[0]["content"] == ("no b" if text == "a b" else "fine")


PROMPT = "prompts: [{task: self_check_input, content: 'Is this bad? {{ user_input }}'}]"


async def block() -> RailOutcome:
    return RailOutcome.block()


@both
async def test_a_rail_that_only_looks_is_asked_once_though_another_rewrites(dialect: str) -> None:
    hides, looks = HIDE[dialect].split(", ")[0], NO[dialect].split(", ")[0]
    made = app(dialect, f"{hides}, {looks}")
    assert ((await made.say("x"))["content"], made.done) == ("fine", ["a"])


@both
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("text", ["a", "hello"])
async def test_no_model_is_asked_where_a_rail_refuses_that_need_not_wait(
    dialect: str, text: str, streamed: bool
) -> None:
    regex = "rails:\n  config: {regex_detection: {input: {patterns: ['^a$']}}}\n  input:"
    yaml = f"models: []\ncolang_version: '{dialect}'\n{PROMPT}\n{regex} {{parallel: true, flows: [self check input, regex check input]}}\n"
    model = FakeLLMModel(["No", "fine"])
    rails = LLMRails(RailsConfig.from_content("" if dialect == "1.0" else TWO, yaml), llm=model)
    messages = [{"role": "user", "content": text}]
    if streamed:
        said = "".join([str(piece) async for piece in rails.stream_async(messages=messages)])
    else:
        said = (await rails.generate_async(messages=messages))["content"]
    assert (said == "fine", model.inference_count) == ((True, 2) if text == "hello" else (False, 0))


async def test_exceptions_instead_of_words() -> None:
    made = app("2.x", "self check input, count", more=f"enable_rails_exceptions: true\n{PROMPT}")
    made.rails.register_action(block, "self_check_input")
    (event,) = (await made.say("hello"))["events"]
    assert event["type"] == "InputRailException"


async def test_each_window_of_a_stream_is_judged_by_all_at_once() -> None:
    made = app("2.x", "", "\"never say 'a'\", \"never say 'b'\"", answer="one two three four a five six")
    pieces = [piece async for piece in made.rails.stream_async(messages=[{"role": "user", "content": "hi"}])]
    assert made.most_at_once == 2
    assert "content_blocked" in pieces[-1]
    assert "a five" not in "".join(pieces[:-1])


async def test_a_turn_that_is_given_up_ends_all_of_them() -> None:
    made = app("2.x", NO["2.x"])
    turn = asyncio.ensure_future(made.say("wait"))
    await made.looked.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert made.done == ["a", "b cancelled"]


async def test_what_they_say_is_judged_once() -> None:
    made = app("2.x", NO["2.x"], "\"never say 'a'\"")
    # The refusal `no a` is itself held to the output rails: once, beside the conversation.
    reply = await made.say("a")
    assert (reply["content"], made.done.count("a")) == ("not a", 2)


async def test_a_handler_reads_along() -> None:
    made = app("2.x", "", HIDE_OUT["2.x"], answer="x y")
    handler = StreamingHandler()

    async def read() -> str:
        return "".join([str(piece) async for piece in _of(handler)])

    reading = asyncio.ensure_future(read())
    await made.say("hi", streaming_handler=handler)
    assert await reading == "* *"


async def _of(handler: StreamingHandler) -> AsyncIterator[str]:
    async for piece in handler:
        yield piece
