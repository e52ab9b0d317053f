"""What the prompts of Colang 1.0 quote of the configuration's own flows and messages."""

from __future__ import annotations

from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

TASKS = (
    "generate_user_intent",
    "generate_next_steps",
    "generate_bot_message",
    "generate_intent_steps_message",
    "generate_value",
)
WORDS = """
define user ask
  "tea please"
define user leave
  "bye"
define bot tell
  "Here is tea."
  "Tea it is."
"""


class Listening(FakeLLMModel):
    """Keeps its prompts."""

    def __init__(self, *answers: str) -> None:
        super().__init__(list(answers))
        self.heard: list[str] = []

    async def generate_async(self, prompt: Any, **given: Any) -> Any:
        self.heard.append(str(prompt))
        return await super().generate_async(prompt, **given)


async def shown(task: str, colang: str, *answers: str, single: bool = False) -> str:
    """The examples that `task` is shown where the user says "tea please"."""
    prompts = "".join(f"  - {{task: {name}, content: '{name}: {{{{ examples }}}}'}}\n" for name in TASKS)
    mode = f"rails: {{dialog: {{single_call: {{enabled: {str(single).lower()}}}}}}}\n"
    config = RailsConfig.from_content(WORDS + colang, f"models: []\n{mode}prompts:\n{prompts}")
    model = Listening(*answers)
    await LLMRails(config, llm=model).generate_async(messages=[{"role": "user", "content": "tea please"}])
    return next(text for text in model.heard if text.startswith(task)).removeprefix(f"{task}: ").strip()


@pytest.mark.parametrize(
    "settings", ["priority 2", 'meta {"k": 1}', "meta\n    k: 1", "# above\n  priority 2\n  # below"]
)
async def test_flows_are_quoted_without_their_settings(settings: str) -> None:
    colang = f"define flow serve\n  {settings}\n  user leave\n\n  # polite\n  bot tell\n"
    assert await shown("generate_next_steps", colang, "ask", "bot tell") == "user leave\n# polite\nbot tell"


SINGLE = 'ask\nbot tell\n  "Here."'


async def test_a_single_call_is_shown_what_flows_do_after_utterances_like_the_users() -> None:
    colang = "define flow serve\n  priority 2\n  user ask\n  $cups = 1\n  bot tell\n"
    told = await shown("generate_intent_steps_message", colang, SINGLE, single=True)
    assert told == 'user "tea please"\n  ask\n$cups = 1\nbot tell\n  "Here is tea."'


async def test_a_single_call_is_shown_the_utterances_alone_where_no_flow_follows_them() -> None:
    colang = "define flow serve\n  user leave or user ask\n  bot tell\n"
    told = await shown("generate_intent_steps_message", colang, SINGLE, single=True)
    assert told == 'user "bye"\n  leave\n\nuser "tea please"\n  ask'
