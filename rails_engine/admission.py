"""What tools returned and forms were given, judged before any flow of a Colang 2.x conversation sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import colang
from rails_engine.chat import TOOL_CALLS, ChatMessage, TurnInput, hidden_call
from rails_engine.dialog import spoken
from rails_engine.external_events import TOOL_RESULTS, typed_texts, with_texts
from rails_engine.judge import INPUT, TOOL_INPUT, TOOL_OUTPUT, Judge, Judgement
from rails_engine.prompts import HIDDEN
from rails_engine.state import Snapshot
from rails_engine.umim import EventDict, started_action


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


async def judged_events(
    turn: TurnInput, before: Snapshot | None, judge: Judge
) -> tuple[TurnInput, list[EventDict]]:
    """The events of a host as rails leave them, and the exceptions of those that refused some.

    What is refused never came: the flows that wait for it fail, and the bot says what the rail has said.
    """
    turn, unread = await read_forms(await with_calls(turn, before, judge), judge)
    asked = {str(result.get("tool_call_id")) for result in turn.results}
    shown, refused = await admitted(turn, (), before, judge)
    if refused is not None:
        shown = turn.with_results(())
    failing = (
        [uid for call in asked for uid in colang.owners_of(before.machine, call)]
        if refused and before
        else []
    )
    stops: list[EventDict] = [{"type": "StopFlow", "flow_instance_uid": uid} for uid in failing]
    refusals = [each for each in (unread, refused) if each is not None]
    said: list[EventDict] = [event for each in refusals for event in spoken(each.said)]
    exceptions = [each.exception for each in refusals if each.exception is not None]
    return replace(shown, events=(*shown.events, *said, *stops)), exceptions


async def read_forms(turn: TurnInput, judge: Judge) -> tuple[TurnInput, Judgement | None]:
    """The turn with what users wrote into forms as the input rails leave it; a form that they refuse never came.

    Also the first refusal, where there is one.
    """
    events, refusal = [], None
    for event in turn.events:
        texts = [text for text in typed_texts(event) if text.strip()]
        left, refused = await _left(texts, judge) if texts and judge.has(INPUT) else ({}, None)
        refusal = refusal or refused
        if refused is None:
            events.append(with_texts(event, left) if left else event)
    return replace(turn, events=tuple(events)), refusal


async def _left(texts: Sequence[str], judge: Judge) -> tuple[dict[str, str], Judgement | None]:
    """The texts that the rails rewrite. They are judged together, and one by one where something is rewritten."""
    together = "\n".join(texts)
    judgement = await judge.input(together)
    if not judgement.passed:
        return {}, judgement
    if judgement.text == together:
        return {}, None
    left: dict[str, str] = {}
    for text in texts:
        judgement = await judge.input(text)
        if not judgement.passed:
            return {}, judgement
        left[text] = judgement.text
    return left, None


async def with_calls(turn: TurnInput, before: Snapshot | None, judge: Judge) -> TurnInput:
    """The turn with the calls that a client says its results answer; those that the tool-output rails refuse are hidden.

    Calls that were made here have been judged.
    """
    if not judge.has(TOOL_OUTPUT) or not any(map(_given, turn.events)):
        return turn
    known = {call.get("id") for call in calls_made((), before)}
    events: list[EventDict] = []
    for event in turn.events:
        given = _given(event)
        if any(call.get("id") not in known for call in given):
            passed = (await judge.tool_output(given)).passed
            events.append(event if passed else {**event, "tool_calls": [hidden_call(call) for call in given]})
        else:
            events.append(event)
    return replace(turn, events=tuple(events))


def _given(event: EventDict) -> list[Mapping[str, Any]]:
    """The calls that come with results."""
    given = event.get("tool_calls") if event["type"] == TOOL_RESULTS else ()
    return [call for call in given if isinstance(call, Mapping)] if isinstance(given, list | tuple) else []


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
