"""A model that says what it was told to: the public double for tests, demonstrations and offline configurations."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rails_engine.llm.base import Chunk, LLMRequest
from rails_engine.llm.public import LLMResponse, LLMResponseChunk, Prompt, UsageInfo

Reply: TypeAlias = str | Chunk | tuple[Chunk, ...] | BaseException
Answer: TypeAlias = Callable[[LLMRequest], Reply]


class ScriptExhaustedError(RuntimeError):
    """The script has no more replies, so there were more calls than its author expected."""


class ScriptedLLM:
    """Implements `LLM` from a list of replies, in order, or from a function of the request.

    A text is given out in words where the caller streams. An exception is raised. `requests` are those seen so far.
    """

    def __init__(self, replies: Iterable[Reply] | Answer, *, model_name: str = "scripted") -> None:
        self._answer = replies if callable(replies) else None
        self._replies = [] if callable(replies) else list(replies)
        self._model_name = model_name
        self._lock = threading.Lock()
        self.requests: list[LLMRequest] = []

    @property
    def model_name(self) -> str:
        """See `LLM.model_name`."""
        return self._model_name

    @property
    def provider_name(self) -> str:
        """See `LLM.provider_name`."""
        return "scripted"

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`.

        Raises:
            ScriptExhaustedError: there is no reply left.
        """
        for chunk in self._chunks(self._next(request), request):
            yield chunk

    def _next(self, request: LLMRequest) -> Reply:
        with self._lock:
            self.requests.append(request)
            count = len(self.requests)
        if self._answer:
            return self._answer(request)
        if count > len(self._replies):
            raise ScriptExhaustedError(f"call {count} of a script of {len(self._replies)} replies")
        return self._replies[count - 1]

    @staticmethod
    def _chunks(reply: Reply, request: LLMRequest) -> tuple[Chunk, ...]:
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, Chunk):
            return (reply,)
        if isinstance(reply, tuple):
            return reply
        pieces = words(reply) if request.streaming else [reply]
        return (*(Chunk(text=piece) for piece in pieces), Chunk(finish_reason="stop"))


def words(text: str) -> list[str]:
    """`text` cut after its blanks, so that the pieces joined are the text again."""
    pieces = text.split(" ")
    return [piece + " " for piece in pieces[:-1]] + pieces[-1:]


@dataclass
class _Counts:
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class FakeLLMModel:
    """The double in users' own tests: implements `LLMModel` from texts, whole responses, or one exception."""

    def __init__(
        self,
        responses: list[str] | None = None,
        llm_responses: list[LLMResponse] | None = None,
        llm_exception: Exception | None = None,
        token_usage: list[dict[str, int]] | None = None,
        should_return_token_usage: bool = False,
    ) -> None:
        self.responses = responses
        self.llm_responses = llm_responses
        self.llm_exception = llm_exception
        self.token_usage = token_usage
        self.should_return_token_usage = should_return_token_usage
        self.inference_count = 0

    @property
    def model_name(self) -> str:
        """See `LLMModel.model_name`."""
        return "fake"

    @property
    def provider_name(self) -> str:
        """See `LLMModel.provider_name`."""
        return "test"

    @property
    def provider_url(self) -> str | None:
        """See `LLMModel.provider_url`."""
        return None

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The next response.

        Raises:
            RuntimeError: there is none left.
        """
        del prompt, stop, kwargs
        return self._next_response()

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        """The next response in words; the last piece has the usage and the finish reason."""
        del prompt, stop, kwargs
        response = self._next_response()
        pieces = words(response.content or "")
        for piece in pieces[:-1]:
            yield LLMResponseChunk(delta_content=piece)
        yield LLMResponseChunk(
            delta_content=pieces[-1],
            delta_reasoning=response.reasoning,
            delta_tool_calls=response.tool_calls,
            finish_reason=response.finish_reason,
            usage=response.usage,
        )

    def _next_response(self) -> LLMResponse:
        if self.llm_exception:
            raise self.llm_exception
        at, self.inference_count = self.inference_count, self.inference_count + 1
        script = self.llm_responses or self.responses or []
        if at >= len(script):
            raise RuntimeError(
                f"No responses available for query number {at + 1} in FakeLLMModel. Most likely, too many LLM calls "
                "are made or additional responses need to be provided."
            )
        reply = script[at]
        response = LLMResponse(content=reply) if isinstance(reply, str) else reply
        if response.usage is None:
            response.usage = self._usage(at)
        return response

    def _usage(self, at: int) -> UsageInfo | None:
        if not self.should_return_token_usage or not self.token_usage or at >= len(self.token_usage):
            return None
        counts = _Counts(**self.token_usage[at])
        return UsageInfo(counts.prompt_tokens, counts.completion_tokens, counts.total_tokens)
