"""What a configuration says where its author said nothing; one set for each Colang dialect."""

from __future__ import annotations

from rails_engine.config.schema.prompts import Instruction

_GENERAL = (
    "This is a conversation between a user and an assistant. The assistant is friendly, gives concrete and complete "
    "answers, and says so plainly when it does not know something."
)

_SAMPLE_V1 = """user "Hi!"
  express greeting
bot express greeting
  "Hi, good to see you. What can I do for you?"
user "What kinds of things can you help with?"
  ask about capabilities
bot respond about capabilities
  "I can answer questions, explain a topic, draft or improve a text, and think a plan through with you."
user "Explain in one sentence why the sky is blue."
  ask general question
bot respond to general question
  "Air scatters the short blue waves of sunlight more than the long red ones, so blue reaches us from everywhere."
user "Thanks, that was clear."
  express appreciation
bot express appreciation and offer further help
  "Glad it helped. Is there anything else you would like to know?"
"""

_SAMPLE_V2 = """user action: user said "Hi!"
user intent: user expressed greeting
bot intent: bot expressed greeting
bot action: bot say "Hi, good to see you. What can I do for you?"

user action: user said "What kinds of things can you help with?"
user intent: user asked about capabilities
bot intent: bot explained its capabilities
bot action: bot say "I can answer questions, explain a topic, and draft or improve a text."

user action: user said "Thanks, that was clear."
user intent: user expressed appreciation
bot intent: bot expressed appreciation and offered further help
bot action: bot say "Glad it helped. Is there anything else you would like to know?"
"""


def default_instructions() -> list[Instruction]:
    """What a model is told where the configuration says nothing else."""
    return [Instruction(type="general", content=_GENERAL)]


def default_sample(colang_version: str) -> str:
    """A short sample conversation in the notation of the dialect."""
    return _SAMPLE_V1 if colang_version == "1.0" else _SAMPLE_V2
