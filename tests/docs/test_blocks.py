"""What the pages show of `config.yml` can be loaded, and what they show of Python can be read."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import pytest

from app.bundled import bundled_folder
from nemoguardrails import RailsConfig

ROOT = Path(__file__).parents[2]
CONFIGS = bundled_folder()
PAGES = [*sorted(ROOT.glob("docs/*.md")), *sorted(CONFIGS.glob("*/README.md")), ROOT / "README.md"]
BLOCKS = [
    pytest.param(kind, text, id=f"{page.parent.name}/{page.name}-{number}")
    for page in PAGES
    for number, (kind, text) in enumerate(
        re.findall(r"```(yaml|python)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    )
]
CHECKED = """
prompts:
  - {task: self_check_input, content: "Is {{ user_input }} harmful?"}
  - {task: self_check_output, content: "Is {{ bot_response }} harmful?"}
"""
"""What rails ask that a block lists without their prompts."""


@pytest.mark.parametrize(("kind", "text"), BLOCKS)
def test_a_block_is_what_it_seems(kind: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MY_KEY", "OPENAI_API_KEY", "NVIDIA_API_KEY"):
        monkeypatch.setenv(name, "none")
    if kind == "python":
        ast.parse(text)
    else:
        config = RailsConfig.from_content(yaml_content=text if "prompts:" in text else text + CHECKED)
        assert config.custom_data == {}


def test_there_are_blocks() -> None:
    assert {block.values[0] for block in BLOCKS} == {"yaml", "python"}


def test_the_readmes_program_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    (tmp_path / "configs").symlink_to(CONFIGS)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(tmp_path / "program.py"))
    assert capsys.readouterr().out.startswith("A dog up to 25 kilograms may ride in the box of a cargo bike")
