"""A configuration written down as data makes the same configuration again, its Colang files among it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

ONE = """
define user greet
  "hi"
define bot greet
  "Hey $name!"
define flow greeting
  user greet
  $name = "Bob"
  bot greet
define subflow check in
  if "bad" in $user_message
    bot refuse to respond
    stop
define bot refuse to respond
  "No."
"""
TWO = """
import core
import guardrails
flow main
  activate greeting
@active
flow greeting
  user said "hi"
  bot say "Hey Bob!"
flow input rails $input_text
  if "bad" in $input_text
    bot say "No."
    abort
"""
WAYS: dict[str, Callable[[RailsConfig], RailsConfig]] = {
    "data": lambda config: RailsConfig(**config.model_dump()),
    "json": lambda config: RailsConfig.model_validate_json(config.model_dump_json()),
    "json data": lambda config: RailsConfig(**json.loads(config.model_dump_json())),
    "only what was set": lambda config: RailsConfig(**config.model_dump(exclude_unset=True)),
    "only what differs": lambda config: RailsConfig(**config.model_dump(exclude_defaults=True)),
    "a mapping": lambda config: RailsConfig.from_content(config=config.model_dump()),
    "twice": lambda config: RailsConfig(**RailsConfig(**config.model_dump()).model_dump()),
    "copy": lambda config: config.model_copy(),
    "deep copy": lambda config: config.model_copy(deep=True),
    "deepcopy": copy.deepcopy,
}


def configuration(dialect: str) -> RailsConfig:
    if dialect == "2.x":
        return RailsConfig.from_content(TWO, config={"models": [], "colang_version": "2.x"})
    return RailsConfig.from_content(ONE, config={"models": [], "rails": {"input": {"flows": ["check in"]}}})


def answers(config: RailsConfig) -> list[str]:
    found = []
    for said in ("hi", "bad"):
        rails = LLMRails(config, llm=FakeLLMModel(responses=["greet"]))
        answer = rails.generate(messages=[{"role": "user", "content": said}])
        found.append(answer["content"])  # type: ignore[index,call-overload]
    return found


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
@pytest.mark.parametrize("way", WAYS)
def test_flows_and_messages_come_back(dialect: str, way: str) -> None:
    config = configuration(dialect)
    again = WAYS[way](config)
    assert answers(again) == answers(config)
    assert again == config
    assert again.sources == config.sources
    assert len(again.flows) == len(config.flows)


@pytest.mark.parametrize("way", WAYS)
def test_a_folder_with_imports_documents_and_actions_comes_back(way: str, tmp_path: Path) -> None:
    base, bot = tmp_path / "base", tmp_path / "bot"
    (bot / "kb").mkdir(parents=True)
    base.mkdir()
    (base / "base.co").write_text('define bot refuse to respond\n  "No."\n')
    (base / "config.yml").write_text("instructions: [{type: general, content: Be kind.}]\n")
    (bot / "config.yml").write_text(
        "models: []\nimport_paths: [../base]\nrails: {input: {flows: [check in]}}\n"
    )
    (bot / "rails.co").write_text(
        "define subflow check in\n  $bad = execute is_bad\n  if $bad\n    bot refuse to respond\n    stop\n"
    )
    (bot / "kb" / "a.md").write_text("# A\ntext\n")
    (bot / "actions.py").write_text(
        "from nemoguardrails.actions import action\n"
        "@action()\nasync def is_bad(context=None):\n    return 'bad' in context['user_message']\n"
    )
    config = RailsConfig.from_path(str(bot))
    again = WAYS[way](config)
    assert again == config
    assert answers(again) == ["greet", "No."]
    assert again.instructions is not None
    assert again.instructions[0].content == "Be kind."
    assert [document.content for document in again.docs or ()] == ["# A\ntext\n"]


def test_what_is_changed_in_the_data_holds() -> None:
    data = configuration("1.0").model_dump()
    data["bot_messages"]["greet"] = ["Hello $name."]
    data["rails"]["input"]["flows"] = []
    assert answers(RailsConfig(**data)) == ["Hello Bob.", "Hello Bob."]


def test_a_configuration_from_data_can_be_added_to() -> None:
    again = RailsConfig(**configuration("1.0").model_dump())
    total = again + RailsConfig.from_content('define bot wave\n  "o/"\n', config={"models": []})
    assert answers(total) == ["Hey Bob!", "No."]
    assert [flow["id"] for flow in total.flows] == ["greeting", "check in"]


def test_a_key_of_ones_own_may_be_called_sources() -> None:
    config = RailsConfig.from_content(config={"models": [], "sources": ["https://example.com"]})
    assert config.custom_data == {"sources": ["https://example.com"]}
    assert config.sources == ()
