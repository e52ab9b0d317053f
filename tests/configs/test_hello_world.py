"""The smallest conversation, as the command holds it."""

from __future__ import annotations

from pathlib import Path

from tests.app.cli.command import nemoguardrails_command


def test_hi_is_answered_over_a_pipe(tmp_path: Path) -> None:
    done = nemoguardrails_command("chat", "--config", "hello_world", stdin="hi\n", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Hello World!\n")


def test_it_greets_again_and_hints_at_what_it_knows(tmp_path: Path) -> None:
    done = nemoguardrails_command(
        "chat", "--config", "hello_world", stdin="hi\nwhat?\nHello!\n", cwd=tmp_path
    )
    assert done.stdout.splitlines() == ["Hello World!", "I know one thing only: say hi.", "Hello World!"]


def test_the_input_may_end_without_a_line_feed_or_at_once(tmp_path: Path) -> None:
    assert nemoguardrails_command("chat", "--config", "hello_world", stdin="hi", cwd=tmp_path).stdout
    silent = nemoguardrails_command("chat", "--config", "hello_world", cwd=tmp_path)
    assert (silent.returncode, silent.stdout) == (0, "")
