"""Programs of both dialects that tests put before a model: one that answers, gates over what is said, and what they ask."""

from __future__ import annotations

from nemoguardrails.actions.rail_outcome import RailOutcome

ANSWERING = """
import core
import llm
flow main
  activate talk
  match Never()
flow talk
  user said something as $said
  $answer = await PassthroughLLMAction(user_message=$said.transcript)
  bot say $answer
"""
"""Colang 2.x: whatever the user says, the model answers it."""

GATE_IN_1 = """
define bot no in
  "no in"
define subflow gate in
  $outcome = execute look(text=$user_message)
  if $outcome.is_blocked
    bot no in
    stop
"""
GATE_IN_2 = """
flow gate in
  global $user_message
  $outcome = await LookAction(text=$user_message)
  if $outcome.is_blocked
    bot say "no in"
    abort
"""
GATE_OUT_1 = """
define bot no out
  "no out"
define subflow gate out
  $outcome = execute look(text=$bot_message)
  if $outcome.is_blocked
    bot no out
    stop
"""
GATE_OUT_2 = """
import guardrails
flow gate out
  global $bot_message
  $outcome = await LookAction(text=$bot_message)
  if $outcome.is_blocked
    bot say "no out"
    abort
"""
REWRITES = """  if $outcome.is_transform
    $bot_message = $outcome.transform_text
"""
MASK_OUT_1, MASK_OUT_2 = GATE_OUT_1 + REWRITES, GATE_OUT_2 + REWRITES
"""The gates over answers, which take over what was rewritten too."""


class Looking:
    """What the gates ask: refuses `bad`, masks `secret`, fails over `boom`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def look(self, text: str) -> RailOutcome:
        self.seen.append(text)
        if "boom" in text:
            raise ValueError(text)
        if "bad" in text:
            return RailOutcome.block()
        if "secret" in text:
            return RailOutcome.transform([("bot_message", text.replace("secret", "******"))])
        return RailOutcome.allow()
