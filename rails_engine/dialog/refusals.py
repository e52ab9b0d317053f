"""What becomes of an action whose content rails have judged beside the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.judge import Judgement
from rails_engine.scene import Outcome, Scene
from rails_engine.umim import EventDict


async def judge_input(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`JudgeInputAction(text)`: `{text}` as the input rails leave it, judged beside the conversation.

    Where they refuse it, what they said is said, and the flow that asked fails.
    """
    judgement = await scene.judge.input(str(arguments["text"]))
    if judgement.passed:
        return Outcome({"text": judgement.text})
    return refused(judgement)


def refused(judgement: Judgement) -> Outcome:
    """What a refusal makes of the action that asked: it says what the rails have said, and its flow fails."""
    named = {"failed_rail": judgement.rail}
    return Outcome(None, named, judgement.sent, starts=spoken(judgement.said), aborts=True)


def spoken(text: str) -> tuple[EventDict, ...]:
    """What makes the bot say what rails have said beside the conversation; it is not judged twice."""
    return ({"type": "StartFlow", "flow_id": "_say for rails", "text": text},) if text else ()
