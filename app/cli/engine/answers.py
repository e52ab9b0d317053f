"""Deltas of the engine to the objects of OpenAI's API."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np

from inference_backend import (
    CalledTool,
    ChatModel,
    Delta,
    Prepared,
    RequestError,
    TokenLogprob,
    ToolCallReader,
)

Scored: TypeAlias = tuple[int, TokenLogprob | None]
"""A token and its log probability; a prompt's first token has none."""


@dataclass(slots=True)
class Choice:
    """One choice while it is being written."""

    index: int
    tools: ToolCallReader | None
    text: str = ""
    begun: bool = False
    offset: int = 0
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish: str | None = None
    stop_reason: str | int | None = None
    calls: list[CalledTool] = field(default_factory=list)
    tokens: int = 0

    def take(self, delta: Delta) -> str:
        """Add a delta; returns the text that may be shown now."""
        shown = delta.text if self.tools is None else self.tools.push(delta.text)
        self.logprobs += delta.logprobs
        self.tokens += len(delta.token_ids)
        if delta.finish is not None:
            if self.tools is not None:
                rest, self.calls = self.tools.finish()
                shown += rest
            self.finish = "tool_calls" if self.calls else delta.finish
            self.stop_reason = delta.stop_reason
        self.text += shown
        return shown


class Answer:
    """One request's answer: the frame that its pieces share, and its choices."""

    def __init__(self, model: ChatModel, prepared: Prepared, *, tools: bool = False) -> None:
        self.model = model
        self.prepared = prepared
        self.created = int(time.time())
        self.prompt_tokens = len(prepared.request.prompt_ids)
        self.cached_tokens = 0
        self.prompt_logprobs: list[TokenLogprob] = []
        count = prepared.request.sampling.n
        self.choices = [Choice(index, ToolCallReader() if tools else None) for index in range(count)]

    def take(self, delta: Delta) -> str:
        """Add a delta; the text that may be shown now."""
        self.prompt_logprobs += delta.prompt_logprobs
        if delta.usage is not None:
            self.cached_tokens = max(self.cached_tokens, delta.usage.cached_tokens)
        if self.prepared.silent:
            delta = replace(delta, text="", token_ids=(), logprobs=())
        return self.choices[delta.index].take(delta)

    @property
    def echo(self) -> str:
        """The prompt as the answer repeats it; empty where it does not."""
        ids = self.prepared.request.prompt_ids
        return self.model.tokenizer.decode(ids) if self.prepared.echo else ""

    @property
    def scored_prompt(self) -> list[Scored]:
        """The tokens of an echoed prompt, if they have log probabilities."""
        if not self.prepared.echo or self.prepared.request.sampling.logprobs is None:
            return []
        first = self.prepared.request.prompt_ids[0]
        return [(first, None), *((entry.token_id, entry) for entry in self.prompt_logprobs)]

    @property
    def usage(self) -> dict[str, Any]:
        """OpenAI's `usage` of this answer."""
        return usage_of([self])

    def frame(self, kind: str) -> dict[str, Any]:
        """The fields that every piece of the answer has."""
        return {
            "id": self.prepared.request.id,
            "object": kind,
            "created": self.created,
            "model": self.prepared.model,
        }


def usage_of(answers: Iterable[Answer]) -> dict[str, Any]:
    """OpenAI's `usage` of several answers together."""
    found = list(answers)
    prompt = sum(answer.prompt_tokens for answer in found)
    written = sum(choice.tokens for answer in found for choice in answer.choices)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": sum(answer.cached_tokens for answer in found)},
    }


def chat_completion(answer: Answer) -> dict[str, Any]:
    """The answer as a chat completion."""
    choices = [
        {
            "index": choice.index,
            "message": _message(answer, choice),
            "finish_reason": choice.finish,
            "stop_reason": choice.stop_reason,
            "logprobs": chat_logprobs(answer.model, choice.logprobs) if choice.logprobs else None,
        }
        for choice in answer.choices
    ]
    scored = _prompt_scores(answer)
    return {**answer.frame("chat.completion"), "choices": choices, "usage": answer.usage, **scored}


def _prompt_scores(answer: Answer) -> dict[str, Any]:
    """VLLM's `prompt_logprobs`: per token of the prompt, by token id; null for the first."""
    if answer.prepared.request.sampling.prompt_logprobs is None or answer.prepared.echo:
        return {}
    show = answer.model.tokenizer.token_text
    listed: list[dict[str, Any] | None] = [None]
    for entry in answer.prompt_logprobs:
        own = {
            str(entry.token_id): {
                "logprob": entry.logprob,
                "rank": None,
                "decoded_token": show(entry.token_id),
            }
        }
        top = {
            str(token): {"logprob": value, "rank": rank, "decoded_token": show(token)}
            for rank, (token, value) in enumerate(entry.top, start=1)
        }
        listed.append({**own, **top})
    return {"prompt_logprobs": listed}


def _message(answer: Answer, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.calls:
        message["content"] = choice.text or None
        message["tool_calls"] = tool_calls(answer, choice)
    return message


def tool_calls(answer: Answer, choice: Choice) -> list[dict[str, Any]]:
    """A choice's calls as OpenAI's objects."""
    return [
        {
            "index": number,
            "id": f"call_{answer.prepared.request.id}_{choice.index}_{number}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(choice.calls)
    ]


def completion(answers: list[Answer]) -> dict[str, Any]:
    """A completion of one prompt or several."""
    choices: list[dict[str, Any]] = []
    for answer in answers:
        for choice in answer.choices:
            scored = [*answer.scored_prompt, *((entry.token_id, entry) for entry in choice.logprobs)]
            choices.append(
                {
                    "index": len(choices),
                    "text": answer.echo + choice.text,
                    "finish_reason": choice.finish,
                    "stop_reason": choice.stop_reason,
                    "logprobs": text_logprobs(answer.model, scored) if scored else None,
                    **_prompt_scores(answer),
                }
            )
    return {**answers[0].frame("text_completion"), "choices": choices, "usage": usage_of(answers)}


def chat_logprobs(model: ChatModel, entries: list[TokenLogprob]) -> dict[str, Any]:
    """Log probabilities as chat completions have them."""
    return {
        "content": [
            {
                **_token(model, entry.token_id, entry.logprob),
                "top_logprobs": [_token(model, token, value) for token, value in entry.top],
            }
            for entry in entries
        ]
    }


def _token(model: ChatModel, token: int, logprob: float) -> dict[str, Any]:
    text = model.tokenizer.token_text(token)
    return {"token": text, "logprob": logprob, "bytes": list(model.tokenizer.token_bytes(token))}


def embedding_writer(body: Mapping[str, Any]) -> Callable[[tuple[float, ...]], list[float] | str]:
    """How the caller wants vectors: as lists of numbers, or as base64 of little-endian float32 (OpenAI's clients).

    Raises:
        RequestError: in no way that is known.
    """
    form = body.get("encoding_format") or "float"
    if form != "float" and form != "base64":  # noqa: PLR1714 -- it may be of a type that no set takes
        raise RequestError(
            f"encoding_format is {form!r}, but must be float or base64", param="encoding_format"
        )
    if form == "float":
        return list
    return lambda vector: base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def text_logprobs(model: ChatModel, scored: Sequence[Scored], start: int = 0) -> dict[str, Any]:
    """The parallel lists of a completion; `start` is how much text came before."""
    show = model.tokenizer.token_text
    tokens = [show(token) for token, _ in scored]
    return {
        "tokens": tokens,
        "token_logprobs": [None if entry is None else entry.logprob for _, entry in scored],
        "top_logprobs": [
            None if entry is None else {show(token): value for token, value in entry.top}
            for _, entry in scored
        ],
        "text_offset": list(accumulate((len(token) for token in tokens[:-1]), initial=start))
        if tokens
        else [],
    }
