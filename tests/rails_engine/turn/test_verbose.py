"""Turns shown on the console: what is written, what is not, and to whom."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.logging.verbose import set_verbose
from nemoguardrails.testing import FakeLLMModel


@pytest.fixture(autouse=True)
def _silent_again() -> Iterator[None]:
    yield
    set_verbose(False)


def rails(*, verbose: bool = False, dialect: str = "1.0") -> LLMRails:
    flows = {
        "1.0": None,
        "2.x": 'import core\n\nflow main\n  user said something\n  $x = ..."the number of PROMPTED things"\n  bot say "so: {$x}"\n',
    }
    config = RailsConfig.from_content(flows[dialect], config={"models": [], "colang_version": dialect})
    return LLMRails(config, llm=FakeLLMModel(responses=["5"]), verbose=verbose)


@pytest.mark.parametrize("dialect", ["1.0", "2.x"])
def test_verbose_rails_show_events_prompts_and_answers(
    capsys: pytest.CaptureFixture[str], dialect: str
) -> None:
    rails(verbose=True, dialect=dialect).generate(messages=[{"role": "user", "content": "how many?"}])
    shown = capsys.readouterr().err
    assert "event UtteranceUserActionFinished" in shown
    assert "final_transcript='how many?'" in shown
    assert "prompt: " in shown
    assert "answer: 5" in shown


async def test_a_streamed_turn_is_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    _ = [piece async for piece in rails(verbose=True).stream_async(prompt="how many?")]
    assert "answer: 5" in capsys.readouterr().err


def test_without_model_calls_their_texts_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    set_verbose(True, simplify=True)
    rails().generate("how many?")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("model call")] == [
        "model call for general (fake): 0.00 s"
    ]
    assert not [line for line in lines if "prompt:" in line or "answer:" in line or len(line) > 120]


def test_the_log_of_an_application_hears_nothing_of_what_was_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    written = io.StringIO()
    handler, root = logging.StreamHandler(written), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        rails(verbose=True).generate("my secret")
        set_verbose(False)
        capsys.readouterr()
        rails().generate("my secret")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert "secret" not in written.getvalue()
    assert "secret" not in capsys.readouterr().err
