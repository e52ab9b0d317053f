"""What is refused when a configuration is loaded: with the file, the key, and what would have been right."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.colang.v2_x.runtime.errors import ColangSyntaxError
from nemoguardrails.exceptions import ConfigurationError, InvalidRailsConfigurationError

CASES = {
    "a rail that no flow stands for": (
        {"config.yml": "models: []\nrails:\n  input:\n    flows:\n      - self chek input\n"},
        (
            r"config\.yml:5:9: error: rails\.input\.flows\[0\]: .*`self chek input` does not exist; "
            r"did you mean `self check input`\?"
        ),
    ),
    "every rail that no flow stands for": (
        {"config.yml": "models: []\nrails:\n  input: {flows: [one thing]}\n  output: {flows: [another]}\n"},
        r"(?s)`one thing` does not exist; define a flow of this name.*rails\.output\.flows\[0\]: .*`another`",
    ),
    "a rail without its prompt": (
        {"config.yml": "models: []\nrails:\n  output:\n    flows:\n      - self check output\n"},
        r"config\.yml:5:9: error: rails\.output\.flows\[0\]: .*needs a prompt with `task: self_check_output`",
    ),
    "a rail without its model": (
        {
            "config.yml": "models: []\nrails: {input: {flows: [topic safety check input $model=topc]}}\n",
            "prompts.yml": "prompts:\n  - {task: topic_safety_check_input $model=topc, content: x}\n",
        },
        r"rails\.input\.flows\[0\]: no model of type `topc` in `models`; types given: none",
    ),
    "a key that is misspelt": (
        {"config.yml": "models: []\nrails:\n  input:\n    flow: [a]\n"},
        r"config\.yml:4:5: error: rails\.input\.flow: unknown key; did you mean `flows`\?",
    ),
    "a prompt that is no template": (
        {
            "config.yml": "models: []\n",
            "p/prompts.yml": "prompts:\n  - task: general\n    content: 'a {% if %}'\n",
        },
        r"prompts\.yml:3:5: error: prompts\[0\]\.content: the prompt of task `general` is no Jinja template: .*line 1",
    ),
    "a message that is no template": (
        {
            "config.yml": "models: []\nprompts:\n  - task: general\n    messages:\n"
            "      - {type: system, content: fine}\n      - '{{ history'\n"
        },
        r"config\.yml:6:9: error: prompts\[0\]\.messages\[1\]: the prompt of task `general` is no Jinja template",
    ),
    "an engine that is misspelt": (
        {"config.yml": "models:\n  - {type: main, engine: opnai, model: m}\n"},
        r"models\[main\]: engine `opnai` has no known address.*Did you mean `openai`\?",
    ),
    "code that cannot be read": (
        {"config.yml": "models: []\n", "actions.py": "def look(:\n"},
        r"actions\.py:1:\d+: SyntaxError",
    ),
}


def folder(path: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("files", "complaint"), CASES.values(), ids=CASES)
def test_a_configuration_that_cannot_work_is_refused(
    tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        LLMRails(RailsConfig.from_path(folder(tmp_path, files)))


def test_a_missing_flow_is_a_fault_of_the_rails_section(tmp_path: Path) -> None:
    config = RailsConfig.from_content(None, "models: []\nrails: {input: {flows: [nowhere]}}\n")
    with pytest.raises(InvalidRailsConfigurationError, match=r"config\.yml:1:\d+|config\.yml:2:\d+"):
        LLMRails(config)


def test_flows_of_two_x_are_read_when_the_configuration_is_loaded(tmp_path: Path) -> None:
    files = {"config.yml": "models: []\ncolang_version: 2.x\n", "main.co": "flow main\n  match (((\n"}
    with pytest.raises(ColangSyntaxError, match=r"main\.co:2:11: `\(` is never closed"):
        RailsConfig.from_path(folder(tmp_path, files))


def test_a_filter_may_be_registered_after_loading() -> None:
    yaml = "models: []\nprompts: [{task: general, content: '{{ 1 | later }}'}]\n"
    assert LLMRails(RailsConfig.from_content(None, yaml)).register_filter(str, "later")
