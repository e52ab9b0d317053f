"""Answers as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from app.cli.engine.answers import Answer, Choice, Scored, chat_logprobs, text_logprobs, tool_calls
from app.cli.engine.faults import body_of
from inference_backend import Delta, EngineError

Event = dict[str, str]
DONE: Event = {"data": "[DONE]"}


def event(value: Any) -> Event:
    """A value as the data of one event."""
    return {"data": json.dumps(value, ensure_ascii=False, separators=(",", ":"))}


async def chat_events(answer: Answer, deltas: AsyncIterator[Delta], *, usage: bool) -> AsyncIterator[Event]:
    """Chunks of a chat completion: each choice opens with its role and ends with its reason."""
    kind = "chat.completion.chunk"
    for choice in answer.choices:
        opening = {"role": "assistant", "content": ""}
        yield event(answer.frame(kind) | {"choices": [_chat_choice(choice, opening)]})
    try:
        async for delta in deltas:
            for body in _chat_pieces(answer, delta):
                yield event(answer.frame(kind) | {"choices": [body]})
    except EngineError as error:
        yield event(body_of(error))
        return
    if usage:
        yield event(answer.frame(kind) | {"choices": [], "usage": answer.usage})
    yield DONE


def _chat_pieces(answer: Answer, delta: Delta) -> list[dict[str, Any]]:
    shown = answer.take(delta)
    choice = answer.choices[delta.index]
    pieces = []
    if shown or delta.logprobs:
        logprobs = chat_logprobs(answer.model, list(delta.logprobs)) if delta.logprobs else None
        pieces.append(_chat_choice(choice, {"content": shown}, logprobs=logprobs))
    if delta.finish is not None:
        if choice.calls:
            pieces.append(_chat_choice(choice, {"tool_calls": tool_calls(answer, choice)}))
        pieces.append(_chat_choice(choice, {}, finish=choice.finish))
    return pieces


def _chat_choice(
    choice: Choice,
    delta: dict[str, Any],
    *,
    finish: str | None = None,
    logprobs: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {"index": choice.index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}


async def text_events(answer: Answer, deltas: AsyncIterator[Delta], *, usage: bool) -> AsyncIterator[Event]:
    """Chunks of a completion."""
    kind = "text_completion"
    try:
        async for delta in deltas:
            piece = _text_piece(answer, delta)
            if delta.token_ids or delta.finish is not None:  # else it has but the prompt's log probabilities
                yield event(answer.frame(kind) | {"choices": [piece]})
    except EngineError as error:
        yield event(body_of(error))
        return
    if usage:
        yield event(answer.frame(kind) | {"choices": [], "usage": answer.usage})
    yield DONE


def _text_piece(answer: Answer, delta: Delta) -> dict[str, Any]:
    """A delta as a choice of a chunk; the first one of a choice opens with the prompt where it is echoed."""
    choice = answer.choices[delta.index]
    before = len(choice.logprobs)
    shown = answer.take(delta)
    scored: list[Scored] = [(entry.token_id, entry) for entry in choice.logprobs[before:]]
    if not choice.begun and (delta.token_ids or delta.finish is not None):
        choice.begun = True
        shown, scored = answer.echo + shown, [*answer.scored_prompt, *scored]
    logprobs = text_logprobs(answer.model, scored, choice.offset) if scored else None
    if logprobs is not None:
        choice.offset = logprobs["text_offset"][-1] + len(logprobs["tokens"][-1])
    return {
        "index": delta.index,
        "text": shown,
        "finish_reason": delta.finish,
        "logprobs": logprobs,
    }
