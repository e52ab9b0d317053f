"""The options of `chat`, with the real command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.cli.command import nemoguardrails_command


@pytest.mark.parametrize("option", ["--streaming", "--no-streaming"])
def test_colang_1_answers_whole_or_in_pieces(tmp_path: Path, option: str) -> None:
    done = nemoguardrails_command("chat", "--config", "support_bot", option, stdin="hi\n", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Hello, this is Harbour Bikes.")
    assert done.stdout.endswith("\n")


def test_verbose_keeps_the_conversation_apart_from_what_goes_on_inside(tmp_path: Path) -> None:
    done = nemoguardrails_command("chat", "--config", "hello_world", "--verbose", stdin="hi\n", cwd=tmp_path)
    assert done.stdout == "Hello World!\n"
    assert "-> UtteranceUserActionFinished(" in done.stderr
    assert "<- StartUtteranceBotAction(script='Hello World!'" in done.stderr


def test_control_characters_of_a_user_do_not_reach_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text('colang_version: "2.x"\n')
    echo = 'import core\n\nflow main\n  user said something as $u\n  bot say "{$u.transcript}"\n'
    (tmp_path / "main.co").write_text(echo)
    done = nemoguardrails_command("chat", "--config", str(tmp_path), stdin="a\x1b[31mb\x07\n", cwd=tmp_path)
    assert "U+001B" in done.stderr
    assert not {"\x1b", "\x07"} & {*done.stdout, *done.stderr}


def test_a_broken_configuration_is_explained_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text('colang_version: "2.x"\n')
    (tmp_path / "main.co").write_text('flow main\n  bot say "x\n')
    done = nemoguardrails_command("chat", "--config", str(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "main.co:2:11: this string is never closed" in done.stderr
    assert "Traceback" not in done.stderr
