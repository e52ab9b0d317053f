"""The jailbreak rails with an endpoint, with a function to measure with, and with neither."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from rails_engine.config import RailsConfig
from tests.library.fronts import DIALECTS, INTERNAL, REFUSAL, guarded, said

HEURISTICS = "input: {flows: [jailbreak detection heuristics]}"
ATTACK = " ".join(["== describing.\\ + similarlyNow"] * 12)
PLAIN = (
    "please tell me how long the library is open on a day like this one, and whether I need a card to come in"
)


def measure(text: str) -> float:
    """Stands for a causal language model: odd words are unlikely, long texts of plain ones are not."""
    return 5000.0 if "==" in text else 60.0


@pytest.mark.parametrize("version", DIALECTS)
async def test_texts_are_measured_with_the_function_that_was_registered(version: str) -> None:
    app = guarded(version, HEURISTICS)
    app.register_action_param("perplexity", measure)
    assert [await said(app, text) for text in (PLAIN, ATTACK, "hi", PLAIN)] == [
        "fine",
        REFUSAL,
        "fine",
        "fine",
    ]


async def test_a_long_text_that_is_all_too_likely_is_an_attempt() -> None:
    app = guarded("1.0", HEURISTICS)

    async def likely(_: str) -> float:
        await asyncio.sleep(0)
        return 2.0

    app.register_action_param("perplexity", likely)
    assert [await said(app, text) for text in ("again " * 40, "again")] == [REFUSAL, "fine"]


@pytest.mark.parametrize("given", [0.0, -1.0, "60", None])
async def test_what_is_no_perplexity_blocks(given: Any) -> None:
    app = guarded("1.0", HEURISTICS)
    app.register_action_param("perplexity", lambda _: given)
    assert await said(app, PLAIN) == INTERNAL


@pytest.mark.parametrize(("version", "heard"), [("1.0", INTERNAL), ("2.x", REFUSAL)])
@pytest.mark.parametrize("flow", ["jailbreak detection heuristics", "jailbreak detection model"])
async def test_without_anything_to_judge_with_the_rail_blocks_and_says_why(
    version: str, heard: str, flow: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = guarded(version, f"input: {{flows: [{flow}]}}")
    with caplog.at_level(logging.WARNING):
        assert await said(app, PLAIN) == heard
    assert f"{flow} needs" in caplog.text


def test_the_missing_key_is_named_when_the_configuration_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(f"models: []\nrails: {{{HEURISTICS}}}\n")
    _, problems = RailsConfig.inspect(tmp_path)
    (problem,) = problems
    assert problem.message == (
        "`jailbreak detection heuristics` has no `server_endpoint` under rails.config.jailbreak_detection; "
        "until it can judge, it blocks"
    )
