"""`check` in both dialects: the verdict of the rails on messages, and no model asked for an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.exceptions import RailTypeNotConfiguredError
from nemoguardrails.rails.llm.options import RailsResult, RailType
from nemoguardrails.testing import FakeLLMModel

TWO = """
import core
import guardrails
flow main
  user said something
  bot say "hello"
flow gate in
  global $user_message
  if "bad" in $user_message
    bot say "no in"
    abort
  if "secret" in $user_message
    $user_message = "masked"
flow gate out
  global $bot_message
  if "bad" in $bot_message
    bot say "no out"
    abort
  if "secret" in $bot_message
    $bot_message = "masked"
"""
ONE = """
define bot no in
  "no in"
define bot no out
  "no out"
define subflow gate in
  if "bad" in $user_message
    bot no in
    stop
  if "secret" in $user_message
    $user_message = "masked"
define subflow gate out
  if "bad" in $bot_message
    bot no out
    stop
  if "secret" in $bot_message
    $bot_message = "masked"
"""
LISTED = "rails:\n  input: {flows: [gate in]}\n  output: {flows: [gate out]}\n"
V2 = 'colang_version: "2.x"\nmodels: []\n'
HOOKS = "flow input rails $input_text\n  gate in\nflow output rails $output_text\n  gate out\n"
CONFIGS = {
    "1.0": (ONE, "models: []\n" + LISTED),
    "2.x listed": (TWO, V2 + LISTED),
    "2.x hooks": (TWO + HOOKS, V2),
}


def rails(dialect: str) -> LLMRails:
    return LLMRails(RailsConfig.from_content(*CONFIGS[dialect]))


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def found(result: RailsResult) -> tuple[str, str, str | None]:
    return result.status.value, result.content, result.rail


@pytest.mark.parametrize("dialect", CONFIGS)
@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ([user("fine")], ("passed", "fine", None)),
        ([user("bad")], ("blocked", "no in", "gate in")),
        ([user("secret")], ("modified", "masked", None)),
        ([user("q"), bot("fine")], ("passed", "fine", None)),
        ([user("q"), bot("bad")], ("blocked", "no out", "gate out")),
        ([user("bad"), bot("fine")], ("blocked", "no in", "gate in")),
        ([bot("bad")], ("blocked", "no out", "gate out")),
        ([user("q"), bot("a secret")], ("modified", "masked", None)),
        ([user("bad"), user("fine")], ("blocked", "no in", "gate in")),
        ([user([{"type": "text", "text": "fine"}])], ("passed", "fine", None)),
        ([user([{"type": "text", "text": "bad"}])], ("blocked", "no in", "gate in")),
        ([], ("passed", "", None)),
    ],
)
def test_the_rails_judge_what_is_said(
    dialect: str, messages: list[Any], wanted: tuple[str, str, str]
) -> None:
    assert found(rails(dialect).check(messages)) == wanted


@pytest.mark.parametrize("dialect", CONFIGS)
def test_only_the_kinds_asked_for_judge(dialect: str) -> None:
    app = rails(dialect)
    both = [user("bad"), bot("bad")]
    assert app.check(both, rail_types=[RailType.OUTPUT]).rail == "gate out"
    assert app.check(both, rail_types=[RailType.INPUT]).rail == "gate in"


@pytest.mark.parametrize("dialect", CONFIGS)
def test_where_nobody_spoke_there_is_nothing_to_check(dialect: str) -> None:
    assert found(rails(dialect).check([bot("bad")], rail_types=[RailType.INPUT])) == ("passed", "", None)


def test_what_was_not_checked_comes_back_as_it_is() -> None:
    passed = rails("1.0").check([user("bad")], rail_types=[RailType.OUTPUT])
    assert found(passed) == ("passed", "bad", None)


@pytest.mark.parametrize("yaml", ["models: []\n", V2])
def test_a_kind_without_rails_cannot_be_asked_for(yaml: str) -> None:
    colang = "" if yaml == "models: []\n" else "import core\nflow main\n  match Never()\n"
    app = LLMRails(RailsConfig.from_content(colang, yaml))
    assert app.check([user("x")]).status.value == "passed"
    with pytest.raises(RailTypeNotConfiguredError):
        app.check([user("x")], rail_types=[RailType.INPUT])


@pytest.mark.parametrize("dialect", CONFIGS)
def test_a_rail_that_cannot_judge_blocks(dialect: str) -> None:
    colang, yaml = CONFIGS[dialect]
    check = '  $ok = execute boom\n  if "bad" in $user_message'
    broken = colang.replace(
        '  if "bad" in $user_message',
        check if dialect == "1.0" else check.replace("execute boom", "await BoomAction()"),
    )
    app = LLMRails(RailsConfig.from_content(broken, yaml))

    async def boom() -> None:
        raise ValueError

    app.register_action(boom, "boom")
    assert app.check([user("fine")]).status.value == "blocked"


def test_an_exception_of_a_rail_is_its_message() -> None:
    colang, yaml = CONFIGS["2.x listed"]
    raising = colang.replace('bot say "no in"', 'send InputRailException(message="not this")')
    result = LLMRails(RailsConfig.from_content(raising, yaml)).check([user("bad")])
    assert found(result) == ("blocked", "not this", "gate in")


ONCE_1 = """
define bot no
  "no"
define subflow once
  if $wanted == True
    $wanted = False
    if "bad" in $bot_message
      bot no
      stop
"""
ONCE_2 = """
import core
import guardrails
flow main
  user said something
  bot say "bad answer"
flow once
  global $wanted
  global $bot_message
  if $wanted
    $wanted = False
    if "bad" in $bot_message
      bot say "no"
      abort
"""
ONCE = "rails: {output: {flows: [once]}}\n"
WANTED = [{"role": "context", "content": {"wanted": True}}, {"role": "user", "content": "q"}]


@pytest.mark.parametrize(("colang", "yaml"), [(ONCE_1, "models: []\n"), (ONCE_2, V2)], ids=["1.0", "2.x"])
async def test_rails_of_a_check_know_the_context_of_its_messages(colang: str, yaml: str) -> None:
    app = LLMRails(RailsConfig.from_content(colang, yaml + ONCE))
    for _ in range(2):
        result = await app.check_async([*WANTED, {"role": "assistant", "content": "bad answer"}])
        assert (result.status.value, result.content) == ("blocked", "no")


@pytest.mark.parametrize(("colang", "yaml"), [(ONCE_1, "models: []\n"), (ONCE_2, V2)], ids=["1.0", "2.x"])
async def test_an_answer_that_was_given_before_is_judged_again(colang: str, yaml: str) -> None:
    judged: list[str] = []

    def note(text: str) -> None:
        judged.append(text)

    looking = colang.replace('if "bad" in $bot_message', "LOOK\n    if $bad")
    look = (
        "$bad = execute look(text=$bot_message)"
        if yaml != V2
        else "$bad = await LookAction(text=$bot_message)"
    )
    config = RailsConfig.from_content(looking.replace("LOOK", look), yaml + ONCE)
    app = LLMRails(config, llm=FakeLLMModel(["bad answer"]))
    app.register_action(note, "look")
    app.register_action(note, "LookAction")
    answer = await app.generate_async(messages=WANTED)
    await app.check_async([*WANTED, answer])
    assert judged == ["bad answer"] * 2


@pytest.mark.parametrize(("colang", "yaml"), [(ONCE_1, "models: []\n"), (ONCE_2, V2)], ids=["1.0", "2.x"])
async def test_rails_over_an_answer_from_elsewhere_know_the_context(colang: str, yaml: str) -> None:
    app = LLMRails(RailsConfig.from_content(colang, yaml + ONCE))

    async def pieces() -> AsyncIterator[str]:
        yield "bad answer"

    heard = [str(piece) async for piece in app.stream_async(messages=WANTED, generator=pieces())]
    assert "bad answer" not in "".join(heard)
