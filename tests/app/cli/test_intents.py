"""`nemoguardrails intents report`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.app.cli.command import nemoguardrails_command, run_here

UTTERANCES = (
    "text,intent\n"
    "how much does a cargo bike cost for a day,ask about prices\n"
    "where do I find you,ask where the shop is\n"
    "my bike was stolen,ask about prices\n"
    "the square root of two,none\n"
)


def test_the_report_shows_accuracy_confusions_and_scope(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text(UTTERANCES)
    done = nemoguardrails_command(
        "intents", "report", "--config", "support_bot", "--labels", "u.csv", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "accuracy              0.6667" in done.stdout
    assert "ask about prices -> ask about damage: 1" in done.stdout
    assert "out-of-scope AUROC" in done.stdout


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_the_fallback_takes_is_none_of_the_intents(here: Path) -> None:
    (here / "u.csv").write_text("text,intent\nwho won the football match,none\nhi,express greeting\n")
    done = run_here("intents", "report", "--config", "support_bot", "--labels", "u.csv")
    assert "foreign taken as known 0.0000" in done.stdout
    assert "accuracy              1.0000" in done.stdout


def test_the_report_can_be_json(here: Path) -> None:
    (here / "u.csv").write_text(UTTERANCES)
    done = run_here("intents", "report", "--config", "support_bot", "--labels", "u.csv", "--json")
    assert json.loads(done.stdout)["foreign"] == 1


@pytest.mark.parametrize(
    ("config", "labels", "message"),
    [
        ("support_bot", "u.csv", "the columns text and intent"),
        ("support_bot", "none.csv", "none.csv: cannot be read"),
        ("hello_world", "u.csv", "u.csv"),
        ("nowhere", "u.csv", "nowhere"),
    ],
)
def test_wrong_usage_is_said_plainly(here: Path, config: str, labels: str, message: str) -> None:
    (here / "u.csv").write_text("said,meant\nx,y\n")
    done = run_here("intents", "report", "--config", config, "--labels", labels)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
