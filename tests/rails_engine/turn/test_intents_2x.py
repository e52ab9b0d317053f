"""Intents under Colang 2.x: what the model is shown, and intents that no flow defines."""

from __future__ import annotations

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.embeddings.index import EmbeddingsIndex, IndexItem
from nemoguardrails.testing import FakeLLMModel

YAML = """
colang_version: "2.x"
models: []
instructions: [{type: general, content: THE-GUIDE}]
sample_conversation: |
  user action: user said "FIRST-LINE"
  user intent: user asked first
  bot intent: bot told first
  bot action: bot say "FIRST-ANSWER"

  user action: user said "SECOND-LINE"
  user intent: user asked second
  bot intent: bot told second
  bot action: bot say "SECOND-ANSWER"

  user action: user said "THIRD-LINE"
  user intent: user asked third
"""
TALK = """
import core
import llm

flow main
  activate llm continuation
  activate jokes
  match Never()

flow jokes
  user asked joke
  bot say "a joke"
"""


def app(source: str, *answers: str) -> LLMRails:
    config = RailsConfig.from_content(source, YAML)
    return LLMRails(config, llm=FakeLLMModel(responses=list(answers)))


async def talk(rails: LLMRails, *texts: str) -> tuple[list[str], list[tuple[str, str]]]:
    """What the bot says to each text, and the tasks that the model was asked with their prompts."""
    messages: list[dict[str, str]] = []
    answers: list[str] = []
    for text in texts:
        messages.append({"role": "user", "content": text})
        reply = await rails.generate_async(messages=messages)
        messages.append({"role": "assistant", "content": reply["content"]})
        answers.append(reply["content"])
    return answers, [(call.task or "", call.prompt or "") for call in rails.explain().llm_calls]


async def test_an_intent_needs_no_definition() -> None:
    answers, asked = await talk(app(TALK, "user asked joke", "user asked joke"), "tell me one", "more")
    assert answers == ["a joke", "a joke"]
    assert [task for task, _ in asked] == ["generate_user_intent_from_user_action"] * 2


async def test_two_undefined_intents_wait_side_by_side() -> None:
    source = TALK.replace(
        'user asked joke\n  bot say "a joke"',
        'when user asked joke\n    bot say "a joke"\n  or when user asked riddle\n    bot say "a riddle"',
    )
    answers, _ = await talk(app(source, "user asked riddle", "user asked joke"), "one", "two")
    assert answers == ["a riddle", "a joke"]


async def test_an_intent_that_nobody_waits_for_is_answered_by_the_model() -> None:
    rails = app(TALK, "user asked time", 'bot intent: bot tell time\nbot action: bot say "noon"')
    answers, asked = await talk(rails, "what time is it")
    assert answers == ["noon"]
    assert [task for task, _ in asked] == [
        "generate_user_intent_from_user_action",
        "generate_flow_continuation",
    ]
    for _, prompt in asked:
        assert all(part in prompt for part in ("THE-GUIDE", "FIRST-LINE", "SECOND-ANSWER", "THIRD-LINE"))


async def test_a_value_is_asked_for_with_the_sample_conversation() -> None:
    source = 'import core\nimport llm\n\nflow main\n  user said something\n  $n = ..."how many"\n  bot say "{$n + 1}"\n'
    answers, asked = await talk(app(source, "4"), "four")
    assert answers == ["5"]
    (prompt,) = (prompt for _, prompt in asked)
    assert all(part in prompt for part in ("THE-GUIDE", "FIRST-LINE", "THIRD-LINE", "how many"))


@pytest.mark.parametrize("hidden", ["THE-GUIDE", "FIRST-LINE", "tell me", "import"])
async def test_a_described_flow_is_asked_for_by_its_docstring_alone(hidden: str) -> None:
    source = (
        "import core\nimport llm\n\nflow main\n  user said something\n  answering\n\n"
        'flow answering\n  """Be kind to {{ who }}."""\n  $who = "Ann"\n  ...\n'
    )
    answers, asked = await talk(app(source, 'bot say "dear Ann"'), "tell me")
    assert answers == ["dear Ann"]
    ((_, prompt),) = asked
    assert "Be kind to Ann." in prompt
    assert hidden not in prompt


async def test_a_docstring_may_show_the_history_and_the_tools() -> None:
    source = (
        "import core\nimport llm\n\nflow main\n  activate automating intent detection\n"
        "  user said something\n  answering\n\n"
        'flow answering\n  """So far: {{ history | colang }} Tools: {{ tools }}, {{ tool_names }}"""\n  ...\n\n'
        '@meta(tool=True)\nflow look up $word\n  """Looks a word up."""\n  bot say "INSIDE"\n'
    )
    _, ((_, prompt),) = await talk(app(source, 'bot say "well"'), "tell me")
    assert 'user action: user said "tell me"' in prompt
    assert 'flow look up $word\n  """Looks a word up."""' in prompt
    assert "INSIDE" not in prompt


WRITTEN = {
    "lines": 'bot say "one"\nbot say "two"',
    "a flow": 'flow answer\n  bot say "one"\n  bot say "two"',
    "lines in a fence": '```\nbot say "one"\nbot say "two"\n```',
    "a flow in a fence": '```colang\nflow answer\n  bot say "one"\n  bot say "two"\n```\n',
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
async def test_an_instruction_may_be_answered_by_a_flow_or_by_its_lines(written: str) -> None:
    source = (
        'import core\nimport llm\n\nflow main\n  user said something\n  execute llm instruction "count"\n'
    )
    answers, _ = await talk(app(source, written), "count")
    assert answers == ["one\ntwo"]


async def test_a_prompt_of_ones_own_sees_the_interaction_block_by_block() -> None:
    prompts = """
prompts:
  - {task: generate_user_intent_from_user_action, content: "INTENT [{{ history | colang }}] {{ user_action }}"}
  - {task: generate_flow_continuation, content: "NEXT [{{ history | colang }}]"}
"""
    going_on = 'bot intent: bot greet\nbot action: bot say "hello"'
    model = FakeLLMModel(responses=["user greeted", going_on, "user asked joke"])
    rails = LLMRails(RailsConfig.from_content(TALK, YAML + prompts), llm=model)
    answers, asked = await talk(rails, "hi", "tell me one")
    assert answers == ["hello", "a joke"]
    greeted = 'user action: user said "hi"\nuser intent: user greeted'
    assert [prompt for _, prompt in asked] == [
        'INTENT [] user said "hi"',
        f"NEXT [{greeted}]",
        f'INTENT [{greeted}\n\nbot intent: bot greet\nbot action: bot say "hello"] user said "tell me one"',
    ]


async def test_the_flow_that_an_instruction_asks_for_has_a_name() -> None:
    source = (
        'import core\nimport llm\n\nflow main\n  user said something\n  execute llm instruction "count"\n'
    )
    _, ((_, prompt),) = await talk(app(source, 'bot say "one"'), "count")
    assert "flow dynamic_" in prompt


# --- more examples than a prompt shows -----------------------------------------------------------------------------


class Longest(EmbeddingsIndex):
    """A search provider that finds the longest texts, or fails."""

    def __init__(self, fails: bool = False) -> None:
        self._fails = fails
        self._items: list[IndexItem] = []

    async def add_items(self, items: list[IndexItem]) -> None:
        self._items += items

    async def build(self) -> None:
        """Nothing is to be built."""

    async def search(
        self, text: str, max_results: int = 20, threshold: float | None = None
    ) -> list[IndexItem]:
        if self._fails:
            raise ConnectionError("down")
        return sorted(self._items, key=lambda item: len(item.text), reverse=True)[:max_results]


def many(fails: bool) -> LLMRails:
    """Thirty intents with an example each, of 1 to 30 words `so`, behind a search provider."""
    flows = [f'flow user meant no{n}\n  user said "{"so " * n}{n}"\n' for n in range(30)]
    provider = f"core: {{embedding_search_provider: {{name: longest, parameters: {{fails: {fails}}}}}}}\n"
    rails = LLMRails(
        RailsConfig.from_content(TALK + "\n" + "\n".join(flows), YAML + provider),
        llm=FakeLLMModel(responses=["user intent: user asked joke"]),
    )
    rails.register_embedding_search_provider("longest", Longest)
    return rails


async def test_the_search_provider_chooses_among_many_examples_and_the_nearest_is_last() -> None:
    answers, calls = await talk(many(fails=False), "so what 3")
    shown = [line for line in calls[0][1].splitlines() if line.startswith("user intent: user meant")]
    assert answers == ["a joke"]
    assert shown == [f"user intent: user meant no{n}" for n in range(10, 30)]


async def test_a_search_that_fails_leaves_the_choice_to_the_words() -> None:
    answers, calls = await talk(many(fails=True), "so what 3")
    shown = [line for line in calls[0][1].splitlines() if line.startswith("user intent: user meant")]
    assert answers == ["a joke"]
    assert (len(shown), shown[-1]) == (20, "user intent: user meant no3")
