"""The language, by conversation: every program under `programs/` behaves as its transcript says."""

from __future__ import annotations

from pathlib import Path

import pytest

from colang import ColangError, load, new_state
from tests.colang.machine.transcripts import Transcript, columns, play, transcripts

PROGRAMS = [*transcripts(Path(__file__).parent / "programs")]
RUNNING = [each for each in PROGRAMS if not each.remarks.fails]
FAILING = [each for each in PROGRAMS if each.remarks.fails]


@pytest.mark.parametrize(
    "transcript", RUNNING, ids=lambda each: each.name.partition(": ")[2].partition(":")[0]
)
def test_a_program_behaves_as_its_transcript(transcript: Transcript) -> None:
    difference = columns(play(transcript))
    assert not difference, f"{transcript.name}\nexpected | happened{difference}"


@pytest.mark.parametrize(
    "transcript", RUNNING, ids=lambda each: each.name.partition(": ")[2].partition(":")[0]
)
def test_it_behaves_the_same_when_saved_and_read_back_before_every_call(transcript: Transcript) -> None:
    difference = columns(play(transcript, saves=True))
    assert not difference, f"{transcript.name}\nexpected | happened{difference}"


@pytest.mark.parametrize(
    "transcript", FAILING, ids=lambda each: each.name.partition(": ")[2].partition(":")[0]
)
def test_a_program_that_cannot_run_says_so(transcript: Transcript) -> None:
    if transcript.remarks.fails == "load":
        with pytest.raises(ColangError):
            load([transcript.source])
    else:
        program = load([transcript.source])
        with pytest.raises(ColangError):
            new_state(program)
