"""Trying again: which requests, after which answers, and how long to wait in between.

The wait doubles from `initial_delay` to `max_delay`, with jitter; a server's `Retry-After` comes first, up to
`max_retry_after` seconds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Unpack

from rails_engine.http.messages import (
    HTTPClient,
    HTTPConnectionError,
    HTTPResponse,
    HTTPTimeoutError,
    RequestParts,
)
from rails_engine.retry_after import seconds_asked

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """See the module; delays are in seconds."""

    max_attempts: int = 3
    retryable_methods: frozenset[str] = field(default_factory=lambda: IDEMPOTENT)
    retryable_status_codes: frozenset[int] = field(default_factory=lambda: _PASSING)
    initial_delay: float = 0.5
    max_delay: float = 8.0
    max_retry_after: float = 60.0
    retry_transport_errors: bool = True
    honor_retry_override_header: bool = False
    """Let the server's `x-should-retry` decide where it is there, against the list of statuses."""
    clamp_retry_after: bool = False
    """Wait `max_retry_after` where a server asks for longer, instead of giving up."""

    def can_retry_method(self, method: str) -> bool:
        """True for methods that may be repeated without harm."""
        return method.upper() in self.retryable_methods

    def should_retry(self, response: HTTPResponse) -> bool:
        """True for an answer after which another try may do better."""
        told = response.headers.get("x-should-retry", "").strip().lower()
        if self.honor_retry_override_header and told in ("true", "false"):
            return told == "true"
        return response.status_code in self.retryable_status_codes

    def retry_after(self, response: HTTPResponse, *, now: datetime) -> float | None:
        """The seconds that a server asks to wait for; None where it does not say."""
        return seconds_asked(response.headers, now)


class RetryingHTTPClient:
    """Implements `ClosableHTTPClient` round another client."""

    def __init__(
        self,
        client: HTTPClient,
        policy: RetryPolicy | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random_value: Callable[[], float] = random.random,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._client = client
        self._policy = policy or RetryPolicy()
        self._sleep = sleep
        self._random = random_value
        self._now = now or (lambda: datetime.now(UTC))

    @property
    def wrapped_client(self) -> HTTPClient:
        """The client inside."""
        return self._client

    async def request(self, method: str, url: str, **parts: Unpack[RequestParts]) -> HTTPResponse:
        """See `HTTPClient.request`; after the last attempt its answer or error is the result."""
        policy = self._policy
        attempts = policy.max_attempts if policy.can_retry_method(method) else 1
        for attempt in range(1, attempts):
            try:
                response = await self._client.request(method, url, **parts)
            except (HTTPConnectionError, HTTPTimeoutError):
                if not policy.retry_transport_errors:
                    raise
                await self._sleep(self._delay(attempt))
                continue
            wait = self._wait(attempt, response)
            if wait is None:
                return response
            await self._sleep(wait)
        return await self._client.request(method, url, **parts)

    def _wait(self, attempt: int, response: HTTPResponse) -> float | None:
        """How long to wait before the next attempt; None where this answer stands."""
        if not self._policy.should_retry(response):
            return None
        asked = self._policy.retry_after(response, now=self._now())
        if asked is None:
            return self._delay(attempt)
        if asked > self._policy.max_retry_after:
            return self._policy.max_retry_after if self._policy.clamp_retry_after else None
        return asked

    def _delay(self, attempt: int) -> float:
        whole = min(self._policy.max_delay, self._policy.initial_delay * float(1 << (attempt - 1)))
        return whole * (0.5 + self._random() / 2)

    async def close(self) -> None:
        """Close the other client, if it can be closed."""
        close = getattr(self._client, "close", None)
        if close:
            await close()
