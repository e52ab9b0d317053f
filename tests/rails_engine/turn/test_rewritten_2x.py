"""What an input rail of Colang 2.x rewrote is all that models, searches and later turns see of a message."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

MASKING = """
import guardrails
flow input rails $input_text
  global $user_message
  $user_message = "xxx {len($user_message)}"
"""
HEAD = "import core\nimport llm\nflow main\n  activate talk\n  match Never()\nflow talk\n"
CONTINUED = "import core\nimport %s\nflow main\n  activate %s\n  match Never()\n"
ONE_CALL = """
import core
import llm
flow main
  activate automating intent detection
  activate continuation on unhandled user utterance
  match Never()
"""
BOTH = 'user intent: user asked\nbot intent: bot told\nbot action: bot say "ok"'
TOLD = 'bot intent: bot told\nbot action: bot say "ok"'
PROGRAMS: dict[str, tuple[str, list[str]]] = {
    "continuation": (CONTINUED % ("llm", "llm continuation"), ["user intent: user asked", TOLD]),
    "both in one call": (ONE_CALL, [BOTH]),
    "passthrough": (CONTINUED % ("passthrough", "llm continuation"), ["user intent: user asked", "ok"]),
    "a value about what was said": (
        HEAD + '  user said something as $said\n  $v = ..."about {$said.transcript}"\n  bot say $v\n',
        ['"ok"'],
    ),
    "a value about the event": (
        HEAD
        + '  user said something unexpected as $said\n  $v = ..."{$said.event.final_transcript}"\n  bot say $v\n',
        ['"ok"'],
    ),
    "a value about the message": (
        HEAD + '  global $user_message\n  user said something\n  $v = ..."{$user_message}"\n  bot say $v\n',
        ['"ok"'],
    ),
    "the last words, by action": (
        HEAD
        + '  user said something\n  $m = await GetLastUserMessageAction()\n  $v = ..."{$m}"\n  bot say $v\n',
        ['"ok"'],
    ),
    "the last words, as tracked": (
        HEAD.replace("  activate talk\n", "  activate tracking user talking state\n  activate talk\n")
        + '  global $last_user_transcript\n  user said something\n  $v = ..."{$last_user_transcript}"\n  bot say $v\n',
        ['"ok"'],
    ),
    "the same in other words": (
        HEAD + "  user said something as $said\n  bot say something like $said.transcript\n",
        ['"ok"'],
    ),
    "a flow written from its wish": (
        HEAD
        + '  user said something as $said\n  helping $said.transcript\nflow helping $text\n  """Help with {{ text }}."""\n  ...\n',
        ['bot say "ok"'],
    ),
    "an instruction": (
        HEAD + '  user said something as $said\n  execute llm instruction "do {$said.transcript}"\n',
        ['bot say "ok"'],
    ),
    "unexpected words": (
        HEAD + '  user said something unexpected as $said\n  $v = ..."{$said.transcript}"\n  bot say $v\n',
        ['"ok"'],
    ),
}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_no_model_sees_what_a_rail_took_out(program: str) -> None:
    source, answers = PROGRAMS[program]
    yaml = 'colang_version: "2.x"\nmodels: []\n'
    app = LLMRails(RailsConfig.from_content(source + MASKING, yaml), llm=FakeLLMModel(responses=answers * 2))
    asked: list[Any] = [user("my secret word")]
    options = {"log": {"llm_calls": True}}
    for _ in range(2):
        reply = await app.generate_async(messages=asked, options=options)
        prompts = [call.prompt or "" for call in reply.log.llm_calls]
        assert any("xxx" in prompt for prompt in prompts)
        assert not any("secret" in prompt for prompt in prompts)
        asked += [reply.response[0], user("my secret again")]
