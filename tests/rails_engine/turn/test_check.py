"""`check` in both dialects: the verdict of the rails on messages, and no model asked for an answer."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.exceptions import RailTypeNotConfiguredError
from nemoguardrails.rails.llm.options import RailsResult, RailType

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
