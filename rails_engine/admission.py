"""What tools returned, judged before any flow of a Colang 2.x conversation sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rails_engine.chat import TOOL_CALLS, ChatMessage, TurnInput
from rails_engine.judge import TOOL_INPUT, Judge, Judgement
from rails_engine.prompts import HIDDEN
from rails_engine.state import Snapshot
from rails_engine.umim import started_action


async def admitted(
    turn: TurnInput, messages: Sequence[ChatMessage], before: Snapshot | None, judge: Judge
) -> tuple[TurnInput, Judgement | None]:
    """The turn with the results of its tools as their rails leave them, and the refusal where there is one.

    `messages` are those of the whole request, `before` is the conversation when the turn begins. A turn whose results
    are refused has them hidden, for those who play it again.
    """
    if not turn.results or not judge.has(TOOL_INPUT):
        return turn, None
    judgement = await judge.tool_input(turn.results, calls_made(messages[: turn.end], before))
    if judgement.passed:
        return turn.with_results(judgement.content), None
    return turn.with_results([{**result, "content": HIDDEN} for result in turn.results]), judgement


def calls_made(messages: Sequence[ChatMessage], before: Snapshot | None) -> list[Mapping[str, Any]]:
    """The calls that results may answer: those in the list, and those that the flows have sent."""
    made = [call for message in messages for call in message.get("tool_calls") or ()]
    for event in before.events if before else ():
        action = started_action(event["type"])
        if event["type"] == TOOL_CALLS:
            made += event.get("tool_calls") or ()
        elif action is not None:
            made.append({"id": event.get("action_uid"), "function": {"name": action}})
    return made


def refusal_reply(judgement: Judgement) -> dict[str, Any]:
    """The assistant message where the results were refused: what the rail said, or its exception as an event."""
    reply: dict[str, Any] = {"role": "assistant", "content": judgement.said}
    if judgement.exception is not None:
        reply["events"] = [judgement.exception]
    return reply
