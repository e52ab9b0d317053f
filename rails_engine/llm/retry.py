"""Another try after a failure that may pass.

Retried: no connection, timeouts, 408, 409, 429 and 5xx, as long as nothing of the answer has been given out. The
pause doubles from half a second, with full jitter, unless the server says how long to wait (`Retry-After`); a server
that asks for more than a minute is taken at its word and the error is raised. `x-should-retry` decides where present.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from rails_engine.errors import (
    LLMClientError,
    LLMConnectionError,
    LLMRateLimitError,
    LLMServerError,
    LLMTimeoutError,
)
from rails_engine.llm.answer import Completion, complete
from rails_engine.llm.base import LLM, Chunk, LLMRequest
from rails_engine.llm.layer import Layer
from rails_engine.llm.streams import Reading
from rails_engine.retry_after import seconds_asked


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Times are in seconds."""

    max_retries: int = 2
    first_pause_s: float = 0.5
    longest_pause_s: float = 8.0
    longest_asked_s: float = 60.0

    def pause(self, attempt: int, error: LLMClientError, chance: float) -> float | None:
        """How long to wait after failed attempt number `attempt` (from 0); None: give up. `chance` is in [0, 1)."""
        if attempt >= self.max_retries or not _may_pass(error):
            return None
        asked = seconds_asked(error.response_headers, datetime.now(UTC))
        if asked is not None:
            return asked if asked <= self.longest_asked_s else None
        longest = min(self.first_pause_s * float(2**attempt), self.longest_pause_s)
        return longest * (1 - 0.5 * chance)


def _may_pass(error: LLMClientError) -> bool:
    told = error.response_headers.get("x-should-retry")
    if told in ("true", "false"):
        return told == "true"
    passing = LLMRateLimitError | LLMServerError | LLMTimeoutError | LLMConnectionError
    return isinstance(error, passing) or error.status_code == 409


class Retrying(Layer):
    """Wraps an `LLM`. The deadline of a request bounds all tries and pauses together."""

    def __init__(
        self,
        inner: LLM,
        policy: RetryPolicy,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(inner)
        self._policy = policy
        self._sleep = sleep

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`."""
        tries = _Tries(self._policy, request, time.monotonic())
        while True:
            given = False
            try:
                async with Reading(self._inner.stream(tries.request)) as chunks:
                    async for chunk in chunks:
                        given = True
                        yield chunk
            except LLMClientError as error:
                pause = None if given else tries.pause(error)
                if pause is None:
                    raise
            else:
                return
            await self._sleep(pause)

    async def complete(self, request: LLMRequest) -> Completion:
        """See `Completing.complete`."""
        began, tries = time.monotonic(), None
        while True:
            try:
                return await complete(self._inner, request)
            except LLMClientError as error:
                tries = tries or _Tries(self._policy, request, began)
                pause = tries.pause(error)
                if pause is None:
                    raise
            await self._sleep(pause)
            request = tries.request


class _Tries:
    """The tries of one request so far, which `began` then, in seconds of the monotonic clock."""

    __slots__ = ("_attempt", "_policy", "_request", "_until")

    def __init__(self, policy: RetryPolicy, request: LLMRequest, began: float) -> None:
        self._policy = policy
        self._request = request
        self._attempt = 0
        self._until = None if request.deadline_s is None else began + request.deadline_s

    @property
    def request(self) -> LLMRequest:
        """What to ask now: the deadline is what is left of it."""
        left = self._left() if self._attempt else None
        return self._request if left is None else replace(self._request, deadline_s=left)

    def pause(self, error: LLMClientError) -> float | None:
        """How long to wait before the next try; None where the error stands."""
        pause = self._policy.pause(self._attempt, error, random.random())
        left = self._left()
        self._attempt += 1
        return None if pause is None or (left is not None and pause >= left) else pause

    def _left(self) -> float | None:
        return None if self._until is None else max(0.001, self._until - time.monotonic())
