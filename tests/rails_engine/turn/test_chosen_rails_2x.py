"""Which rails a request of Colang 2.x wants, through the front door."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions import action
from rails_engine.errors import InvalidRequestError

SOURCE = """
import core
flow main
  activate talk
  match Never()
flow talk
  user said something as $said
  bot say $said.transcript
flow no $word
  global $user_message
  if search($word, $user_message)
    bot say "no {$word}"
    abort
flow loud
  global $bot_message
  $bot_message = "{$bot_message}!"
"""
YAML = """
colang_version: "2.x"
models: []
rails:
  input: {flows: ["no $word='cats'", "no $word='dogs'"]}
  output: {flows: [loud]}
"""
HOOKS = (
    SOURCE
    + """
import guardrails
flow input rails $input_text
  no "cats"
  no "dogs"
flow output rails $output_text
  loud
"""
)


@pytest.fixture(params=["listed", "hooks"])
def app(request: pytest.FixtureRequest) -> LLMRails:
    if request.param == "listed":
        return LLMRails(RailsConfig.from_content(SOURCE, YAML))
    return LLMRails(RailsConfig.from_content(HOOKS, 'colang_version: "2.x"\nmodels: []\n'))


async def answer(app: LLMRails, text: str, rails: Any = None, state: Any = None) -> str:
    options = {} if rails is None else {"rails": rails}
    messages = [{"role": "user", "content": text}]
    reply = await app.generate_async(messages=messages, options=options, state=state)
    return str(reply.response[0]["content"])


async def test_a_kind_that_is_switched_off_does_not_run(app: LLMRails) -> None:
    assert await answer(app, "cats") == "no cats!"
    assert await answer(app, "cats", {"input": False}) == "cats!"
    assert await answer(app, "cats", {"output": False}) == "no cats"
    assert await answer(app, "cats", {"input": False, "output": False}) == "cats"


async def test_what_one_request_switched_off_is_on_again_in_the_next(app: LLMRails) -> None:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "cats"}]
    first = await app.generate_async(messages=messages, options={"rails": {"input": False}})
    messages += [first.response[0], {"role": "user", "content": "dogs"}]
    second = await app.generate_async(messages=messages)
    assert (first.response[0]["content"], second["content"]) == ("cats!", "no dogs!")


async def test_rails_are_chosen_by_name_with_or_without_parameters() -> None:
    app = LLMRails(RailsConfig.from_content(SOURCE, YAML))
    assert await answer(app, "cats", {"input": ["no $word='dogs'"]}) == "cats!"
    assert await answer(app, "dogs", {"input": ["no $word='dogs'"]}) == "no dogs!"
    assert await answer(app, "dogs", {"input": ["no"]}) == "no dogs!"


async def test_a_name_that_is_not_listed_is_refused(app: LLMRails) -> None:
    with pytest.raises(InvalidRequestError, match="names 'nope'"):
        await answer(app, "cats", {"input": ["nope"]})


async def test_a_listed_rail_may_take_what_it_judges_by_position() -> None:
    length = '\nflow check length $text\n  if len($text) > 5\n    bot say "too long"\n    abort\n'
    yaml = 'colang_version: "2.x"\nmodels: []\nrails: {input: {flows: [check length $input_text]}}\n'
    app = LLMRails(RailsConfig.from_content(SOURCE + length, yaml))
    assert [await answer(app, text) for text in ("hi", "much too long")] == ["hi", "too long"]


async def test_older_code_may_have_events_wait_for_what_runs_in_the_background() -> None:
    source = 'import core\nflow main\n  $v = await SlowAction()\n  bot say "got {$v}"\n  match Never()\n'
    app = LLMRails(RailsConfig.from_content(source, 'colang_version: "2.x"\nmodels: []\n'))

    @action(name="SlowAction", execute_async=True)
    async def slow() -> int:
        return 3

    app.register_action(slow)
    app.runtime.disable_async_execution = True
    outputs, _ = await app.process_events_async([])
    assert [event["script"] for event in outputs if event["type"] == "StartUtteranceBotAction"] == ["got 3"]
