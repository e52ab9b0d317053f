"""What a rail does that raises, takes too long or answers with something unknown, in both dialects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rails_engine import LLMRails
from rails_engine.actions import RailOutcome, to_plain
from rails_engine.config import RailsConfig
from rails_engine.errors import ConfigurationError
from rails_engine.llm import ScriptedLLM, register_provider

REFUSAL = "I'm sorry, I can't respond to that."
INTERNAL = "I'm sorry, an internal error has occurred."
ONE = """
define subflow my rail
  $found = execute my_check
  if $found
    bot refuse to respond
    stop

define subflow my other rail
  $found = execute my_check
  if $found
    create event MyRailException(message="mine")
    stop
"""
TWO = """
import core
import guardrails

flow main
  activate talk
  match NeverHappens()

flow talk
  user said something
  bot say "fine"

flow my rail
  $found = await MyCheckAction()
  if $found
    abort

flow my other rail
  $fine = await MyCheckAction()
  if not $fine
    bot refuse to respond
    abort
"""


async def raise_error() -> bool:
    raise RuntimeError("down")


async def hang() -> bool:
    await asyncio.sleep(60)
    return True


def open_rails(version: str, rails: str, extra: str = "") -> LLMRails:
    register_provider("scripted_policy", lambda **_: ScriptedLLM(lambda _: "fine"))
    yaml = f"""
colang_version: "{version}"
models: [{{type: main, engine: scripted_policy, model: m}}]
rails: {{{rails}}}
{extra}
"""
    return LLMRails(RailsConfig.from_content(ONE if version == "1.0" else TWO, yaml))


async def answer(rails: LLMRails) -> dict[str, Any]:
    return dict(await rails.generate_async(messages=[{"role": "user", "content": "hi"}]))


async def said(rails: LLMRails) -> str:
    return str((await answer(rails))["content"])


@pytest.mark.parametrize("direction", ["input", "output"])
@pytest.mark.parametrize("version", ["1.0", "2.x"])
@pytest.mark.parametrize("check", [raise_error, hang])
@pytest.mark.parametrize(
    ("settings", "policies", "passes"),
    [
        ("timeout_s: 0.05", "{}", False),
        ("timeout_s: 0.05, on_error: allow", "{}", True),
        ("timeout_s: 0.05, fail_open: true", "{}", True),
        ("timeout_s: 5", "{my rail: {on_error: allow, timeout_s: 0.05}}", True),
        ("timeout_s: 5", "{my rail: {fail_open: true, timeout_s: 0.05}}", True),
        ("timeout_s: 5, on_error: allow", "{my rail: {on_error: block, timeout_s: 0.05}}", False),
    ],
)
async def test_a_users_rail_that_fails_blocks_unless_its_policy_lets_pass(
    direction: str, version: str, check: Any, settings: str, policies: str, passes: bool
) -> None:
    rails = open_rails(version, f"{direction}: {{flows: [my rail], {settings}}}, policies: {policies}")
    rails.register_action(check, "my_check")
    reply = await answer(rails)
    assert reply == {"role": "assistant", "content": "fine" if passes else INTERNAL}
    assert await said(rails) == reply["content"]


COMPARING = {
    "1.0": "define subflow my rail\n  $found = execute my_check\n  if $found == True\n    stop\n",
    "2.x": TWO.replace("if $found\n", "if $found == True\n"),
}


@pytest.mark.parametrize("given", [ValueError("down"), iter([True])], ids=["an error", "an iterator"])
@pytest.mark.parametrize("version", ["1.0", "2.x"])
async def test_what_says_nothing_blocks_also_where_a_rail_only_compares_it(version: str, given: Any) -> None:
    register_provider("scripted_policy", lambda **_: ScriptedLLM(lambda _: "fine"))
    yaml = f"""
colang_version: "{version}"
models: [{{type: main, engine: scripted_policy, model: m}}]
rails: {{input: {{flows: [my rail]}}}}
"""
    rails = LLMRails(RailsConfig.from_content(COMPARING[version], yaml))
    rails.register_action(lambda: given, "my_check")
    assert await said(rails) == INTERNAL


async def test_under_2_x_a_rail_may_refuse_in_its_own_words_where_its_action_failed() -> None:
    rails = open_rails("2.x", "input: {flows: [my other rail]}")
    rails.register_action(raise_error, "my_check")
    assert await said(rails) == REFUSAL


async def test_a_failed_rail_raises_its_own_exception_with_the_reason() -> None:
    rails = open_rails("1.0", "input: {flows: [my other rail]}", "enable_rails_exceptions: true")
    rails.register_action(raise_error, "my_check")
    reply = await answer(rails)
    event = reply["content"]
    assert (reply["role"], event["type"], event["message"], event["reason"]) == (
        "exception", "MyRailException", "mine", "error",
    )  # fmt: skip
    rails.register_action(lambda: True, "my_check")
    assert "reason" not in (await answer(rails))["content"]


@pytest.mark.parametrize(
    ("direction", "kind"), [("input", "InputRailException"), ("output", "OutputRailException")]
)
async def test_under_2_x_a_rail_without_an_exception_of_its_own_raises_that_of_its_direction(
    direction: str, kind: str
) -> None:
    rails = open_rails("2.x", f"{direction}: {{flows: [my rail]}}", "enable_rails_exceptions: true")
    rails.register_action(raise_error, "my_check")
    (event,) = (await answer(rails))["events"]
    assert (event["type"], event["reason"]) == (kind, "error")


@pytest.mark.parametrize("version", ["1.0", "2.x"])
@pytest.mark.parametrize(("settings", "passes"), [("timeout_s: 5", False), ("on_error: allow", True)])
@pytest.mark.parametrize("verdict", [True, None, "fine", {"is_blocked": "no"}])
async def test_what_stands_in_for_a_built_in_action_answers_with_a_verdict(
    version: str, settings: str, passes: bool, verdict: Any
) -> None:
    rails = open_rails(version, f"input: {{flows: [regex check input], {settings}}}")

    async def no_verdict(source: str, text: str) -> Any:
        return verdict

    rails.register_action(no_verdict, "detect_regex_pattern")
    assert (await said(rails) == "fine") is passes


async def test_a_verdict_may_be_plain_data() -> None:
    async def judge(source: str, text: str) -> dict[str, Any]:
        return to_plain(RailOutcome.block())

    rails = open_rails("1.0", "input: {flows: [regex check input]}")
    rails.register_action(judge, "detect_regex_pattern")
    assert await said(rails) == REFUSAL


@pytest.mark.parametrize("where", ["input: {%s}", "policies: {my rail: {%s}}"])
def test_two_answers_to_one_question_are_refused(where: str) -> None:
    with pytest.raises(ConfigurationError, match="`on_error` and `fail_open` contradict each other"):
        open_rails("1.0", where % "on_error: block, fail_open: true")


def test_a_policy_for_a_rail_that_is_not_listed_is_pointed_out(tmp_path: Any) -> None:
    (tmp_path / "config.yml").write_text(
        "models: []\nrails: {input: {flows: [regex check input]}, policies: {regex chek input: {timeout_s: 2}}}\n"
    )
    _, problems = RailsConfig.inspect(tmp_path)
    assert [problem.message for problem in problems] == [
        "no rail `regex chek input` is listed under `rails`; did you mean `regex check input`?"
    ]
