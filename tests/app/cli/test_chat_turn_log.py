"""What --verbose and its two variants show of a turn."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.cli.chat.turn_log import TurnRecord, lines
from app.cli.logs import Verbosity
from app.errors import UsageError


@dataclass
class Call:
    task: str | None = "general"
    prompt: str | None = "Say\nhello"
    completion: str | None = "hello"
    duration: float | None = 0.5
    total_tokens: int | None = 12


TURN = TurnRecord(
    told=[{"type": "UtteranceUserActionFinished", "uid": "1", "action_uid": "a1", "final_transcript": "hi"}],
    calls=[Call()],
    outcome=[{"type": "StartUtteranceBotAction", "uid": "2", "script": "hello " * 40}],
)


def shown(**options: bool) -> list[str]:
    flags = {"verbose": False, "no_llm": False, "simplify": False, **options}
    return lines(TURN, Verbosity.of(levels=[], **flags))


def test_nothing_is_shown_unless_asked_for() -> None:
    assert shown() == []


def test_verbose_shows_events_and_model_calls_with_their_texts() -> None:
    told, call, prompt, completion, outcome = shown(verbose=True)
    assert told == "-> UtteranceUserActionFinished(action_uid='a1', final_transcript='hi')"
    assert call == "-- model call for general: 0.50 s, 12 tokens"
    assert prompt == "   | Say\n   | hello"
    assert completion == "   = hello"
    assert outcome.startswith("<- StartUtteranceBotAction(script='hello ")


def test_no_llm_leaves_the_texts_out() -> None:
    assert [line[:2] for line in shown(no_llm=True)] == ["->", "--", "<-"]


def test_simplify_shows_short_single_lines() -> None:
    short = shown(simplify=True)
    assert all(len(line) <= 100 and "\n" not in line for line in short)
    assert short[0] == "-> UtteranceUserActionFinished(final_transcript='hi')"


@pytest.mark.parametrize(
    ("levels", "level"),
    [([], "WARNING"), (["info"], "INFO"), (["WARNING", "DEBUG"], "DEBUG"), (["INFO,DEBUG"], "DEBUG")],
)
def test_the_least_severe_level_wins(levels: list[str], level: str) -> None:
    verbosity = Verbosity.of(verbose=False, no_llm=False, simplify=False, levels=levels)
    assert (verbosity.level, verbosity.inside) == (level, level != "WARNING")


def test_an_unknown_level_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="WARNING, INFO, DEBUG"):
        Verbosity.of(verbose=False, no_llm=False, simplify=False, levels=["loud"])
