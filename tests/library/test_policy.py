"""What a rail does that raises or takes too long, in both dialects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rails_engine import LLMRails
from rails_engine.actions import RailOutcome
from rails_engine.config import RailsConfig
from rails_engine.llm import ScriptedLLM, register_provider

ONE = """
define subflow my rail
  $outcome = execute my_check
  if $outcome.is_blocked
    bot refuse to respond
    stop
"""
TWO = """
import core
import guardrails
import nemoguardrails.library.regex

flow main
  user said something
  bot say "fine"

flow input rails $input_text
  regex check input
"""


async def raise_error() -> RailOutcome:
    raise RuntimeError("down")


async def hang() -> RailOutcome:
    await asyncio.sleep(60)
    return RailOutcome.allow()


def open_rails(source: str, settings: str, version: str, policies: str = "{}") -> LLMRails:
    register_provider("scripted_policy", lambda **_: ScriptedLLM(lambda _: "fine"))
    flows = "flows: [my rail], " if version == "1.0" else ""
    yaml = f"""
colang_version: "{version}"
models: [{{type: main, engine: scripted_policy, model: m}}]
rails: {{input: {{{flows}{settings}}}, policies: {policies}}}
"""
    return LLMRails(RailsConfig.from_content(source, yaml))


async def said(rails: LLMRails) -> str:
    return str((await rails.generate_async(messages=[{"role": "user", "content": "hi"}]))["content"])


@pytest.mark.parametrize("check", [raise_error, hang])
@pytest.mark.parametrize(
    ("settings", "policies", "passes"),
    [
        ("timeout_s: 0.05", "{}", False),
        ("timeout_s: 0.05, on_error: allow", "{}", True),
        ("timeout_s: 0.05, fail_open: true", "{}", True),
        ("timeout_s: 5", "{my rail: {on_error: allow, timeout_s: 0.05}}", True),
        ("timeout_s: 5, on_error: allow", "{my rail: {on_error: block, timeout_s: 0.05}}", False),
    ],
)
async def test_a_failing_rail_blocks_unless_it_may_not(
    check: Any, settings: str, policies: str, passes: bool
) -> None:
    rails = open_rails(ONE, settings, "1.0", policies)
    rails.register_action(check, "my_check")
    assert (await said(rails) == "fine") is passes


@pytest.mark.parametrize(("settings", "passes"), [("timeout_s: 5", False), ("on_error: allow", True)])
async def test_the_built_in_rails_of_2_x_too(settings: str, passes: bool) -> None:
    async def broken(source: str, text: str) -> RailOutcome:
        raise RuntimeError("down")

    rails = open_rails(TWO, settings, "2.x")
    rails.register_action(broken, "detect_regex_pattern")
    assert (await said(rails) == "fine") is passes
