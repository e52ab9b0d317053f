"""A configuration read again after its files changed: it is as they are now; a broken one leaves the last at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from colang import ColangSyntaxError
from nemoguardrails import LLMRails, RailsConfig

MAIN = "import core\nimport phrases\n\nflow main\n  user said something\n  greet\n"


def folder(root: Path, *, imported: bool) -> tuple[Path, Path]:
    """A configuration, and the file that says what it answers: its own, or one of a folder that it imports."""
    (config := root / "config").mkdir()
    (config / "config.yml").write_text(
        'colang_version: "2.x"\nmodels: []\nimport_paths: ["../words"]\n'
        if imported
        else 'colang_version: "2.x"\nmodels: []\n',
        encoding="utf-8",
    )
    (config / "main.co").write_text(
        MAIN if not imported else MAIN.replace("import phrases\n", ""), encoding="utf-8"
    )
    (words := root / "words" if imported else config).mkdir(exist_ok=True)
    return config, words / "phrases.co"


def answer(config: Path) -> str:
    reply = LLMRails(RailsConfig.from_path(str(config))).generate(
        messages=[{"role": "user", "content": "hi"}]
    )
    assert isinstance(reply, dict)
    return str(reply["content"])


@pytest.mark.parametrize("imported", [False, True])
def test_what_an_imported_file_says_now_is_what_is_said(tmp_path: Path, imported: bool) -> None:
    config, phrases = folder(tmp_path, imported=imported)
    phrases.write_text('flow greet\n  bot say "one"\n', encoding="utf-8")
    assert answer(config) == "one"
    phrases.write_text('flow greet\n  bot say "two"\n', encoding="utf-8")
    assert answer(config) == "two"


def test_a_broken_file_leaves_the_last_good_configuration_at_work(tmp_path: Path) -> None:
    config, phrases = folder(tmp_path, imported=True)
    phrases.write_text('flow greet\n  bot say "one"\n', encoding="utf-8")
    at_work = LLMRails(RailsConfig.from_path(str(config)))
    phrases.write_text("flow greet\n  $x = (\n", encoding="utf-8")
    with pytest.raises(ColangSyntaxError, match=r"phrases\.co:2"):
        LLMRails(RailsConfig.from_path(str(config)))
    assert at_work.generate(prompt="hi") == "one"
