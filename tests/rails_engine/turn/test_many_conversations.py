"""Many conversations at once, and long ones: nothing is shared, nothing piles up, nothing is lost."""

from __future__ import annotations

import asyncio
import gc
import random
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.types import LLMResponse, LLMResponseChunk

CONVERSATIONS = 512
NONCE = re.compile(r"nonce-\d+-")

WITNESSED = """
define bot tell of a mix up
  "mixed up"
define subflow witness in
  $seen = execute witness
define subflow witness out
  $again = execute witness
  if $again != $seen or $again not in $bot_message
    bot tell of a mix up
    stop
"""
WITNESSED_YAML = """
models: []
rails:
  input: {flows: [witness in]}
  output: {flows: [witness out]}
"""
WITNESSED_2 = """
import core
flow main
  activate answering
  match Never()
flow answering
  user said something as $said
  $seen = await WitnessAction(text=$said.transcript)
  $again = await WitnessAction(text=$said.transcript)
  if $again != $seen
    bot say "mixed up"
  bot say "{$seen}"
"""
PLAIN_2 = """
import core
flow main
  activate answering
  match Never()
flow answering
  user said something as $said
  bot say "you said {$said.transcript}"
"""


class Recalling:
    """A model that says which nonces its prompt holds, after it has let others run."""

    model_name = "recalling"
    provider_name = "test"
    provider_url = None

    async def generate_async(self, prompt: Any, **_given: Any) -> LLMResponse:
        await elsewhere()
        return LLMResponse(content=nonces([message.content for message in prompt]))

    async def stream_async(self, prompt: Any, **given: Any) -> AsyncIterator[LLMResponseChunk]:
        yield LLMResponseChunk(delta_content=(await self.generate_async(prompt, **given)).content)


async def elsewhere() -> None:
    """Let other conversations run for a while, each for another."""
    for _ in range(random.randrange(1, 6)):
        await asyncio.sleep(0)


def nonces(value: object) -> str:
    """All nonces that occur anywhere in the text of a value."""
    return " ".join(sorted(set(NONCE.findall(str(value)))))


async def witness(context: Mapping[str, Any], events: Sequence[Mapping[str, Any]], text: str = "") -> str:
    """The nonces that an action can see."""
    before = nonces((context, events, text))
    await elsewhere()
    assert nonces((context, events, text)) == before
    return before


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def witnessed(colang: str, yaml: str) -> LLMRails:
    app = LLMRails(RailsConfig.from_content(colang, yaml), llm=Recalling())
    app.register_action(witness, "witness")
    app.register_action(witness, "WitnessAction")
    return app


DIALECTS = pytest.mark.parametrize(
    ("colang", "yaml"),
    [(WITNESSED, WITNESSED_YAML), (WITNESSED_2, 'colang_version: "2.x"\nmodels: []\n')],
    ids=["1.0", "2.x"],
)


@DIALECTS
def test_conversations_side_by_side_share_nothing(colang: str, yaml: str) -> None:
    app = witnessed(colang, yaml)

    async def talk(number: int) -> list[str]:
        own = f"nonce-{number}-"
        messages = [said(f"keep {own}")]
        await elsewhere()
        messages += [await app.generate_async(messages=messages), said(f"still {own}?")]
        messages.append(await app.generate_async(messages=messages))
        return [message["content"] for message in messages if message["role"] == "assistant"]

    async def all_of_them() -> list[list[str]]:
        return await asyncio.gather(*(talk(number) for number in range(CONVERSATIONS)))

    answers = asyncio.run(all_of_them())
    assert answers == [[f"nonce-{number}-"] * 2 for number in range(CONVERSATIONS)]


ASKING_2 = """
import core
import llm
flow main
  activate answering
  match Never()
flow answering
  user said something as $said
  $answer = await PassthroughLLMAction(user_message=$said.transcript)
  bot say $answer
"""


@pytest.mark.parametrize(
    ("colang", "yaml"),
    [("", "models: []\n"), (ASKING_2, 'colang_version: "2.x"\nmodels: []\n')],
    ids=["1.0", "2.x"],
)
def test_turns_of_many_conversations_ask_a_model_once_each(colang: str, yaml: str) -> None:
    asked: list[str] = []

    class Counting(Recalling):
        async def generate_async(self, prompt: Any, **given: Any) -> LLMResponse:
            asked.append(nonces(prompt))
            return await super().generate_async(prompt, **given)

    app = LLMRails(RailsConfig.from_content(colang, yaml), llm=Counting())

    async def talk(number: int) -> None:
        messages = [said(f"keep nonce-{number}-")]
        for _ in range(2):
            messages += [dict(await app.generate_async(messages=messages)), said(f"still nonce-{number}-?")]
            await elsewhere()

    async def all_of_them() -> None:
        await asyncio.gather(*(talk(number) for number in range(CONVERSATIONS)))

    asyncio.run(all_of_them())
    assert len(asked) == 2 * CONVERSATIONS


@DIALECTS
def test_conversations_by_state_share_nothing(colang: str, yaml: str) -> None:
    app = witnessed(colang, yaml)

    async def talk(number: int) -> list[str]:
        own, state, answers = f"nonce-{number}-", {}, []
        for text in (f"keep {own}", f"still {own}?"):
            await elsewhere()
            response = await app.generate_async(messages=[said(text)], state=state)
            state = response.state
            answers.append(response.response[-1]["content"])
        return answers

    async def all_of_them() -> list[list[str]]:
        return await asyncio.gather(*(talk(number) for number in range(CONVERSATIONS // 8)))

    answers = asyncio.run(all_of_them())
    assert answers == [[f"nonce-{number}-"] * 2 for number in range(CONVERSATIONS // 8)]


AT_ONCE = """
rails:
  input: {flows: [witness in, witness too], parallel: true}
  output: {flows: [witness out, witness too], parallel: true, streaming: {chunk_size: 1, context_size: 1}}
"""
WITNESSED_AT_ONCE = WITNESSED + "define subflow witness too\n  $seen_too = execute witness\n"
WITNESSED_AT_ONCE_2 = (
    ASKING_2.replace("import core\n", "import core\nimport guardrails\n")
    + """
flow witness in
  global $user_message
  $seen = await WitnessAction(text=$user_message)
flow witness too
  await WitnessAction()
flow witness out
  global $bot_message
  $again = await WitnessAction(text=$bot_message)
  if $again != $bot_message
    bot say "mixed up"
    abort
"""
)


@pytest.mark.parametrize(
    ("colang", "yaml"),
    [
        (WITNESSED, WITNESSED_YAML),
        (WITNESSED_2, 'colang_version: "2.x"\nmodels: []\n'),
        (WITNESSED_AT_ONCE, "models: []\n" + AT_ONCE),
        (WITNESSED_AT_ONCE_2, 'colang_version: "2.x"\nmodels: []\n' + AT_ONCE),
    ],
    ids=["1.0", "2.x", "1.0 at once", "2.x at once"],
)
def test_streams_side_by_side_share_nothing(colang: str, yaml: str) -> None:
    app = witnessed(colang, yaml)

    async def talk(number: int) -> list[str]:
        own = f"nonce-{number}-"
        messages, answers = [said(f"keep {own}")], []
        for question in (f"still {own}?", ""):
            await elsewhere()
            pieces = [str(piece) async for piece in app.stream_async(messages=messages)]
            answers.append("".join(pieces))
            messages += [{"role": "assistant", "content": answers[-1]}, said(question)]
        return answers

    async def all_of_them() -> list[list[str]]:
        return await asyncio.gather(*(talk(number) for number in range(CONVERSATIONS // 4)))

    answers = asyncio.run(all_of_them())
    assert answers == [[f"nonce-{number}-"] * 2 for number in range(CONVERSATIONS // 4)]


@DIALECTS
def test_options_and_context_of_calls_side_by_side_stay_their_own(colang: str, yaml: str) -> None:
    app = witnessed(colang, yaml)

    async def call(number: int) -> tuple[str, Any, str]:
        own = f"nonce-{number}-"
        await elsewhere()
        reply = await app.generate_async(
            messages=[{"role": "context", "content": {"mine": own}}, said("hello")],
            options={"output_vars": ["mine"], "log": {"activated_rails": True, "internal_events": True}},
        )
        return nonces(reply.response), reply.output_data, nonces(reply.log)

    async def all_of_them() -> list[tuple[str, Any, str]]:
        return await asyncio.gather(*(call(number) for number in range(CONVERSATIONS // 2)))

    for number, (spoken, variables, log) in enumerate(asyncio.run(all_of_them())):
        own = f"nonce-{number}-"
        assert variables == {"mine": own}
        assert {spoken, log} <= {own, ""}


def level() -> int:
    """Live containers; one of plain values ceases to count only with the collection after that of what was in it."""
    before = -1
    while gc.collect() or (now := len(gc.get_objects())) != before:
        before = len(gc.get_objects())
    return now


@pytest.mark.parametrize(
    ("colang", "yaml"),
    [(WITNESSED, WITNESSED_YAML), (PLAIN_2, 'colang_version: "2.x"\nmodels: []\n')],
    ids=["1.0", "2.x"],
)
def test_turns_leave_nothing_behind(colang: str, yaml: str) -> None:
    """Once what is remembered of conversations is full, as many objects go as come.

    The collector counts plain tuples and dictionaries at one time and not at another; what stays behind adds up each
    time.
    """
    app = witnessed(colang, yaml)

    async def turns(first: int, count: int) -> int:
        for number in range(first, first + count):
            await app.generate_async(messages=[said(f"keep nonce-{number}-")])
        gc.collect()
        return len(gc.get_objects())

    async def measured() -> list[int]:
        counts = [await turns(0, 1_400), await turns(1_400, 200), await turns(1_600, 200)]
        return [after - before for before, after in pairwise(counts)]

    assert min(asyncio.run(measured())) < 100


def test_a_history_of_thousands_of_messages_is_answered_and_judged_once() -> None:
    judged: list[str] = []

    async def note(text: str) -> bool:
        judged.append(text)
        return True

    colang = "define subflow note in\n  $noted = execute note(text=$user_message)\n"
    yaml = "models: []\nrails: {input: {flows: [note in]}}\n"
    app = LLMRails(RailsConfig.from_content(colang, yaml), llm=Recalling())
    app.register_action(note, "note")
    history = [
        said(f"question {n}") if n % 2 == 0 else {"role": "assistant", "content": f"nonce-{n}-"}
        for n in range(4_000)
    ]

    async def ask() -> list[str]:
        first = await app.generate_async(messages=[*history, said("last")])
        again = await app.generate_async(messages=[*history, said("last"), first, said("more")])
        return [first["content"], again["content"]]

    first, again = asyncio.run(ask())
    assert "nonce-3999-" in first.split()
    assert "nonce-3999-" in again.split()
    assert sorted(judged) == sorted([*(f"question {n}" for n in range(0, 4_000, 2)), "last", "more"])


FILLING = """
define user add
  "add"
define bot count
  "$count things"
define flow
  user add
  $own = []
  $done = $own.append("x")
  $things = $config.custom_data.things
  $done = $things.append("x")
  $count = len($things)
  bot count
"""
FILLING_2 = """
import core
flow main
  user said "add"
  $own = []
  ($own.append("x"))
  $things = $system.config.custom_data["things"]
  ($things.append("x"))
  $count = len($things)
  bot say "{$count} things"
"""
THINGS = """
models: []
custom_data: {things: [one]}
rails: {dialog: {user_messages: {embeddings_only: true}}}
"""


@pytest.mark.parametrize(
    ("colang", "yaml"),
    [(FILLING, THINGS), (FILLING_2, f'colang_version: "2.x"\n{THINGS}')],
    ids=["1.0", "2.x"],
)
def test_what_a_conversation_adds_to_the_configuration_is_its_own(colang: str, yaml: str) -> None:
    rails = LLMRails(RailsConfig.from_content(colang, yaml))
    asked = [said("add")]
    assert [rails.generate(messages=asked) for _ in range(2)] == [
        {"role": "assistant", "content": "2 things"}
    ] * 2


def test_asking_again_finds_the_conversation_as_it_was() -> None:
    colang = FILLING.replace("$config.custom_data.things", "$kept or []\n  $kept = $things")
    rails = LLMRails(RailsConfig.from_content(colang, THINGS))
    first = rails.generate(messages=[said("add")])
    asked = [said("add"), first, said("add")]
    assert [rails.generate(messages=asked)["content"] for _ in range(3)] == ["2 things"] * 3
