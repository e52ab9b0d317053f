"""`import attention`: what the user says to somebody else is not heard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig

PROGRAM = """
import core
import attention

flow main
  activate tracking user attention
  activate answering
  activate noticing
  match RestartEvent()

flow answering
  $text = await user said something
  bot say "heard {$text}"

flow noticing
  await user said something inattentively
  bot say "not for me"
"""


class Room:
    """A user seen by a camera: tells the program where they look and what they say, and keeps what it answers."""

    def __init__(self) -> None:
        config = RailsConfig.from_content(colang_content=PROGRAM, yaml_content='colang_version: "2.x"')
        self.rails = LLMRails(config)
        self.state: Any = None

    async def sees(self, level: str, second: float) -> None:
        time = _time(second)
        await self._send(
            "AttentionUserActionUpdated", "camera", attention_level=level, action_updated_at=time
        )

    async def hears(self, text: str, begin: float, end: float, *, looks_away: float | None = None) -> str:
        uid = f"speech-{begin}"
        await self._send("UtteranceUserActionStarted", uid, action_started_at=_time(begin))
        if looks_away is not None:
            await self.sees("disengaged", looks_away)
        return await self._send(
            "UtteranceUserActionFinished",
            uid,
            final_transcript=text,
            is_success=True,
            action_finished_at=_time(end),
        )

    async def _send(self, kind: str, uid: str, **fields: Any) -> str:
        event = {"type": kind, "action_uid": uid, **fields}
        events, self.state = await self.rails.process_events_async([event], self.state)
        said = [event for event in events if event["type"] == "StartUtteranceBotAction"]
        for utterance in said:
            await self._send(
                "UtteranceBotActionFinished",
                utterance["action_uid"],
                final_script=utterance["script"],
                is_success=True,
            )
        return " ".join(utterance["script"] for utterance in said)


def _time(second: float) -> str:
    return (datetime.fromisoformat("2026-01-01T00:00:00+00:00") + timedelta(seconds=second)).isoformat()


async def test_without_a_camera_everything_is_heard() -> None:
    room = Room()
    assert await room.hears("hello", 0, 1) == "heard hello"


async def test_who_looks_away_is_not_heard_and_who_looks_back_is() -> None:
    room = Room()
    await room.sees("engaged", 0)
    assert await room.hears("hello", 1, 3) == "heard hello"
    await room.sees("disengaged", 5)
    assert await room.hears("no, the other shelf", 6, 8) == "not for me"
    await room.sees("engaged", 10)
    assert await room.hears("and the price?", 11, 13) == "heard and the price?"


@pytest.mark.parametrize(("looks_away", "answer"), [(16.0, "not for me"), (16.1, "heard hm")])
async def test_more_than_six_tenths_of_the_utterance_must_be_meant_for_the_bot(
    looks_away: float, answer: str
) -> None:
    room = Room()
    await room.sees("engaged", 0)
    assert await room.hears("hm", 10, 20, looks_away=looks_away) == answer
