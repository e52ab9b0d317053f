"""A configuration with one rail in either dialect, opened through the front door with models from a script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.llm import ScriptedLLM, register_provider

REFUSAL = "I'm sorry, I can't respond to that."
INTERNAL = "I'm sorry, an internal error has occurred."
UNKNOWN = "I don't know the answer to that."
DIALECTS = ("1.0", "2.x")

_TALK = """
import core

flow main
  activate talk
  match NeverHappens()

flow talk
  global $user_message
  user said something
  $answer = await PassthroughLLMAction(user_message=$user_message)
  bot say $answer
"""
_ECHO = """
import core

flow main
  activate talk
  match NeverHappens()

flow talk
  global $user_message
  user said something
  bot say "heard {$user_message}"
"""


def guarded(
    version: str, rails: str, answer: str | Callable[[Any], Any] = "fine", extra: str = "", colang: str = ""
) -> LLMRails:
    """`rails` is the body of `rails:` in flow style; the main model gives `answer` to whatever it is asked."""
    script = ScriptedLLM(answer if callable(answer) else lambda _: answer)
    register_provider("scripted_front", lambda **_: script)
    yaml = f"""
colang_version: "{version}"
models: [{{type: main, engine: scripted_front, model: m}}]
rails: {{{rails}}}
{extra}
"""
    own = colang or ("" if version == "1.0" else _TALK)
    return LLMRails(RailsConfig.from_content(own, yaml))


def echoing(rails: str) -> LLMRails:
    """Colang 2.x: says again what the user said, as the input rails left it."""
    return guarded("2.x", rails, colang=_ECHO)


async def reply(rails: LLMRails, text: str) -> dict[str, Any]:
    return dict(await rails.generate_async(messages=[{"role": "user", "content": text}]))


async def said(rails: LLMRails, text: str = "hello") -> str:
    return str((await reply(rails, text))["content"])
