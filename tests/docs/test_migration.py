"""The page for those who come from nemoguardrails: its folder, its actions and its test, as they stand there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel, TestChat

PAGE = (Path(__file__).parents[2] / "docs" / "migration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:yaml|colang|python)\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bank"
    folder.mkdir()
    for name, text in zip(("config.yml", "rails.co", "actions.py"), BLOCKS, strict=False):
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return folder


def turns(script: str) -> Mapping[str, str]:
    """What the page's test says and expects."""
    return dict(re.findall(r'chat >> "(.*)"\nchat << "(.*)"', script))


def test_the_folder_answers_as_the_page_says(bank: Path) -> None:
    completions = re.search(r"llm_completions=\[(.*)\]", BLOCKS[3])
    assert completions
    chat = TestChat(RailsConfig.from_path(str(bank)), re.findall(r'"([^"]*)"', completions[1]))
    assert len(turns(BLOCKS[3])) == 3
    for text, answer in turns(BLOCKS[3]).items():
        chat.user(text)
        chat.bot(answer)


def test_the_log_tells_which_rails_ran(bank: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rails = LLMRails(RailsConfig.from_path(str(bank)), llm=FakeLLMModel([]))
    module = ModuleType("shown")
    module.__dict__["rails"] = rails
    path = bank / "shown.py"
    path.write_text(BLOCKS[4], encoding="utf-8")
    run_as(module, path)
    assert "('input', 'check blocked terms', True)" in capsys.readouterr().out


def run_as(module: ModuleType, path: Path) -> None:
    """Run a file in a module that has names already."""
    from importlib.machinery import SourceFileLoader

    SourceFileLoader(module.__name__, str(path)).exec_module(module)
