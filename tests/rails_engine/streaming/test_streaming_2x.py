"""Streams of Colang 2.x: what goes out while a model writes, what goes out when it is said, and what never does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.context import streaming_handler_var
from nemoguardrails.streaming import StreamingHandler
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse
from tests.rails_engine.gates import ANSWERING, GATE_OUT_2, MASK_OUT_2, Looking

VALUE = ANSWERING.replace("await PassthroughLLMAction(user_message=$said.transcript)", '..."what to say"')
LIBRARY = """
import core
import passthrough
flow main
  activate llm continuation
  match Never()
"""
HOOK = "flow output rails $output_text\n  gate out\n"
GATE, MASK = GATE_OUT_2 + HOOK, MASK_OUT_2 + HOOK
YAML = """
colang_version: "2.x"
models: []
rails: {output: {streaming: {chunk_size: 2, context_size: 1%s}}}
"""


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def guarded(source: str, *answers: Any, extra: str = "") -> tuple[LLMRails, Looking]:
    responses = [a if isinstance(a, LLMResponse) else LLMResponse(content=a) for a in answers]
    config = RailsConfig.from_content(source, YAML % extra)
    app, looking = LLMRails(config, llm=FakeLLMModel(llm_responses=responses)), Looking()
    app.register_action(looking.look, "LookAction")
    return app, looking


async def frames(app: LLMRails, **given: Any) -> list[Any]:
    return [frame async for frame in app.stream_async(messages=[user("x")], **given)]


def code_of(frame: Any) -> str:
    return str(json.loads(frame["text"] if isinstance(frame, dict) else frame)["error"]["code"])


@pytest.mark.parametrize("source", [ANSWERING, ANSWERING + GATE], ids=["no rails", "rails"])
async def test_an_answer_goes_out_while_it_is_written(source: str) -> None:
    app, looking = guarded(source, "one two three")
    assert await frames(app) == ["one ", "two ", "three"]
    assert looking.seen == (["one two ", "two three", "three"] if source != ANSWERING else [])


async def test_a_second_answer_of_a_turn_goes_out_while_it_is_written_too() -> None:
    more = '  $more = await PassthroughLLMAction(user_message="and then")\n  bot say $more\n'
    app, looking = guarded(ANSWERING + more + GATE, "one two three", "four five six")
    assert "".join(await frames(app)).split() == ["one", "two", "three", "four", "five", "six"]
    assert looking.seen == ["one two ", "two three", "three", "four five ", "five six", "six"]


async def test_the_librarys_passthrough_goes_out_while_it_is_written() -> None:
    app, looking = guarded(LIBRARY + GATE, "user intent: user asked", "one two three")
    assert await frames(app) == ["one ", "two ", "three"]
    assert looking.seen == ["one two ", "two three", "three"]


async def test_a_value_that_is_said_goes_out_while_it_is_written() -> None:
    app, looking = guarded(VALUE + GATE, '"one two \\"three\\""')
    assert "".join(await frames(app)) == 'one two "three"'
    assert len(looking.seen) > 1


async def test_a_value_that_is_no_text_is_never_told() -> None:
    app, _ = guarded(VALUE, "[1, 2]")
    assert await frames(app) == []


async def test_a_continuation_goes_out_while_it_is_written() -> None:
    source = "import core\nimport llm\nflow main\n  activate llm continuation\n  match Never()\n" + GATE
    written = 'bot intent: bot told\nbot action: bot say "one two three"'
    app, looking = guarded(source, "user intent: user asked", written)
    assert "".join(told := await frames(app)) == "one two three"
    assert len(told) > 1
    assert len(looking.seen) > 1


async def test_nothing_of_a_refused_window_goes_out_and_the_flow_fails() -> None:
    app, looking = guarded(ANSWERING + GATE, "one two bad four", "fine")
    *out, last = await frames(app)
    assert out == ["one ", "two "]
    assert code_of(last) == "content_blocked"
    # What the rail says instead is its own word, and not judged by it again.
    assert looking.seen == ["one two ", "two bad "]


async def test_what_the_rails_write_goes_out_in_place_of_what_was_held() -> None:
    app, _ = guarded(ANSWERING + MASK, "one secret three four")
    assert "".join(await frames(app)) == "one ****** three four"


async def test_a_rail_that_cannot_judge_holds_its_window_back() -> None:
    app, _ = guarded(ANSWERING + GATE, "one two boom four")
    *out, last = await frames(app)
    assert out == ["one ", "two "]
    assert code_of(last) == "rail_execution_failure"


@pytest.mark.parametrize(
    ("answer", "reply"), [("one secret", "one ******"), ("one bad two", "no out"), ("one two", "one two")]
)
async def test_the_call_returns_what_went_out(answer: str, reply: str) -> None:
    app, _ = guarded(ANSWERING + MASK, answer)
    handler = StreamingHandler()
    assert (await app.generate_async(messages=[user("x")], streaming_handler=handler))["content"] == reply


async def test_the_same_text_is_judged_again_in_the_next_turn() -> None:
    source = ANSWERING.replace("bot say $answer", "bot say $answer\n  user said something\n  bot say $answer")
    app, looking = guarded(source + GATE, "one two")
    messages = [user("x")]
    for _ in range(2):
        told = "".join([piece async for piece in app.stream_async(messages=messages)])
        messages += [{"role": "assistant", "content": told}, user("again")]
    assert looking.seen == ["one two", "two", "one two"]


async def test_an_utterance_that_goes_on_behind_what_was_written_is_told_from_there() -> None:
    app, _ = guarded(ANSWERING.replace("bot say $answer", 'bot say "{$answer} three"'), "one two")
    assert "".join(await frames(app)) == "one two three"


async def test_what_a_flow_changes_first_goes_out_when_it_is_said() -> None:
    source = ANSWERING.replace("bot say $answer", 'bot say "He says: {$answer.upper()}"')
    app, looking = guarded(source + GATE, "one two three")
    assert await frames(app) == ["He says: ONE TWO THREE"]
    assert looking.seen == ["He says: ONE TWO THREE"]


async def test_what_somebody_elses_flow_says_goes_out_when_it_is_said() -> None:
    own = '\n@override\nflow bot say $text\n  await UtteranceBotAction(script="<{$text}>")\n'
    app, _ = guarded(ANSWERING + own, "one two three")
    assert await frames(app) == ["<one two three>"]


async def test_without_streaming_a_guarded_answer_goes_out_whole() -> None:
    app, looking = guarded(ANSWERING + GATE, "one two three", extra=", enabled: false")
    assert await frames(app) == ["one two three"]
    assert looking.seen == ["one two three"]


async def test_reasoning_goes_out_with_the_text_and_not_without_it() -> None:
    for text, heard in (("one two", ["let me see"]), ("bad two", [])):
        app, _ = guarded(ANSWERING + GATE, LLMResponse(content=text, reasoning="let me see"))
        told = await frames(app, include_metadata=True)
        thoughts = [frame["metadata"].get("reasoning_content") for frame in told if "metadata" in frame]
        assert [thought for thought in thoughts if thought] == heard


async def test_utterances_before_and_after_stand_on_lines_of_their_own() -> None:
    source = ANSWERING.replace("  $answer", '  bot say "well"\n  $answer') + '  bot say "done"\n'
    app, _ = guarded(source, "one two")
    assert "".join(await frames(app)) == "well\none two\ndone"


WRITING = """
import core
flow main
  user said something
  $answer = await WriteAction()
  bot say $answer
  match Never()
"""


@pytest.mark.parametrize(
    ("words", "said", "told"),
    [
        ("so it is", "so it is", "so it is"),
        ("so it is", "said", "so it is\nsaid"),
        ("so it is", "so it is, he said", "so it is, he said"),
        ("a secret it is", "said", "a ****** it is\nsaid"),
    ],
)
async def test_an_action_writes_to_who_reads_along_through_the_output_rails(
    words: str, said: str, told: str
) -> None:
    app, looking = guarded(WRITING + MASK)

    async def write() -> str:
        handler = streaming_handler_var.get()
        for number, word in enumerate(words.split(" ")):
            await handler.push_chunk(f" {word}" if number else word)
        return said

    app.register_action(write, "WriteAction")
    assert "".join(await frames(app)) == told
    assert len(looking.seen) > 1


async def test_what_an_action_writes_and_the_rails_refuse_goes_nowhere() -> None:
    app, _ = guarded(WRITING + GATE)

    async def write() -> str:
        await streaming_handler_var.get().push_chunk("so bad")
        return "said"

    app.register_action(write, "WriteAction")
    (frame,) = await frames(app)
    assert code_of(frame) == "content_blocked"
    handler = StreamingHandler()
    reply = await app.generate_async(messages=[user("x")], streaming_handler=handler)
    assert reply["content"] == "no out"
    assert streaming_handler_var.get() is None


# --- answers with something around them ------------------------------------------------------------------------------

AROUND = ANSWERING.replace("bot say $answer", 'log "got it"\n  bot say "He says: {$answer} !"')
WRAPPED = ANSWERING.replace("bot say $answer", "bot reply $answer") + (
    'flow bot reply $text\n  log "replying"\n  bot quote "<{$text}"\nflow bot quote $words\n  bot inform "{$words}>"\n'
)
VALUE_AROUND = AROUND.replace("await PassthroughLLMAction(user_message=$said.transcript)", '..."what to say"')


@pytest.mark.parametrize(
    ("source", "answer", "said"),
    [
        (AROUND, "one two three", ["He says: one ", "two ", "three", " !"]),
        (WRAPPED, "one two three", ["<one ", "two ", "three", ">"]),
        (VALUE_AROUND, '"one two three"', ["He says: one ", "two ", "three", " !"]),
    ],
    ids=["text around it", "through flows", "a value"],
)
async def test_text_around_an_answer_goes_out_with_it(source: str, answer: str, said: list[str]) -> None:
    app, looking = guarded(source + GATE, answer)
    assert "".join(await frames(app)) == "".join(said)
    whole, _ = guarded(source + GATE, answer)
    assert (await whole.generate_async(messages=[user("x")]))["content"] == "".join(said)
    assert looking.seen[0] == "".join(said[:2])
    assert "".join(said) not in looking.seen


@pytest.mark.parametrize("source", [AROUND, WRAPPED])
async def test_a_refused_answer_with_text_around_it_stays_in(source: str) -> None:
    app, _ = guarded(source + GATE, "one two bad four")
    *out, last = await frames(app)
    assert "bad" not in "".join(out)
    assert code_of(last) == "content_blocked"


@pytest.mark.parametrize("answer", ["5", "None", '"""one"""', '"one \\N{BULLET} two"'])
async def test_a_value_that_cannot_be_read_early_is_said_once(answer: str) -> None:
    app, _ = guarded(VALUE_AROUND + GATE, answer)
    whole, _ = guarded(VALUE_AROUND + GATE, answer)
    assert "".join(await frames(app)) == (await whole.generate_async(messages=[user("x")]))["content"]


@pytest.mark.parametrize(
    "statement",
    [
        'bot say "{$answer} and {$answer}"',
        "if $answer\n    bot say $answer",
        "$answer = $answer + $answer\n  bot say $answer",
    ],
)
async def test_an_answer_that_is_not_certain_to_be_said_waits_for_its_utterance(statement: str) -> None:
    source = ANSWERING.replace("bot say $answer", statement)
    app, looking = guarded(source + GATE, "one two three")
    whole, _ = guarded(source + GATE, "one two three")
    said = (await whole.generate_async(messages=[user("x")]))["content"]
    assert "".join(await frames(app)) == said
    assert looking.seen == [said]
