"""Colang 1.0 by conversation: every program under `programs/` answers as its transcript says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rails_engine.canonical.transcripts import Conversation, Transcript, transcripts

PROGRAMS = list(transcripts(Path(__file__).parent / "programs"))
RUNNING = [each for each in PROGRAMS if each.fails is None]
FAILING = [each for each in PROGRAMS if each.fails is not None]


def short(transcript: Transcript) -> str:
    return transcript.name.split(": ")[1]


@pytest.mark.parametrize("transcript", RUNNING, ids=short)
async def test_a_program_answers_as_its_transcript(transcript: Transcript) -> None:
    conversation = Conversation(transcript)
    for turn in transcript.turns:
        assert await conversation.take(turn) == [], turn.said
    assert conversation.model.inference_count == len(transcript.model)


@pytest.mark.parametrize("transcript", FAILING, ids=short)
async def test_a_program_that_cannot_run_says_so(transcript: Transcript) -> None:
    assert transcript.fails is not None
    stage, message = transcript.fails
    if stage == "load":
        with pytest.raises(Exception, match=message):
            Conversation(transcript)
        return
    conversation = Conversation(transcript)
    *before, last = transcript.turns
    for turn in before:
        await conversation.take(turn)
    with pytest.raises(Exception, match=message):
        await conversation.take(last)
