"""One JSON request to a remote service: time limit, retries, typed errors."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rails_engine.http import (
    HTTPAnswerSizeError,
    HTTPClient,
    HTTPClientError,
    PooledHTTPClient,
    RetryingHTTPClient,
    RetryPolicy,
)
from rails_engine.retrieval.errors import OFFLINE, EmbeddingConfigError, EmbeddingRemoteError

MAX_REPLY_BYTES = 256 << 20
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 20.0
_WORTH_RETRYING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Service:
    """A service and how patient to be with it; `name` is what errors call it."""

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0
    retries: int = 2


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[HTTPClient]:
    """A client for a few requests in a row, which share a connection; it honours the proxy variables."""
    carrier = PooledHTTPClient(timeout=service.timeout_s, follow_redirects=True, limit=MAX_REPLY_BYTES)
    client = RetryingHTTPClient(carrier, _patience(service))
    try:
        yield client
    finally:
        await client.close()


def _patience(service: Service) -> RetryPolicy:
    """Asking again for vectors or a ranking changes nothing at the service, so POST may be repeated."""
    return RetryPolicy(
        max_attempts=service.retries + 1,
        retryable_methods=frozenset({"POST"}),
        retryable_status_codes=_WORTH_RETRYING,
        initial_delay=FIRST_WAIT_S,
        max_retry_after=LONGEST_WAIT_S,
        clamp_retry_after=True,
    )


async def post_json(client: HTTPClient, service: Service, url: str, body: Mapping[str, Any]) -> Any:
    """The JSON reply to `body`, by a client that `connected` gave.

    Raises:
        EmbeddingConfigError: the key was refused.
        EmbeddingRemoteError: no usable answer after the retries.
    """
    try:
        reply = await client.request("POST", url, json=body, headers=service.headers)
    except HTTPAnswerSizeError as error:
        told = f"{service.name}: the reply is larger than {MAX_REPLY_BYTES >> 20} MiB"
        raise EmbeddingRemoteError(told) from error
    except HTTPClientError as error:
        raise EmbeddingRemoteError(_unreachable(service.name, error)) from error
    if reply.status_code != 200:
        raise _refusal(service.name, reply.status_code, reply.content)
    return _parsed(service.name, reply.content)


def key_from(name: str, given: str | None, *variables: str) -> str:
    """The key as given, or from the first of `variables` that is set.

    Raises:
        EmbeddingConfigError: it is nowhere.
    """
    for key in (given, *(os.environ.get(variable) for variable in variables)):
        if key:
            return key
    raise EmbeddingConfigError(
        f"{name} needs a key: set {' or '.join(variables)}, or leave the engine out to use the built-in offline embedder"
    )


def _parsed(name: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EmbeddingRemoteError(f"{name}: the reply is no JSON") from error


def _refusal(name: str, status: int, text: bytes) -> EmbeddingConfigError | EmbeddingRemoteError:
    shown = text[:300].decode("utf-8", "replace")
    if status in (401, 403):
        return EmbeddingConfigError(f"{name}: the key was refused (HTTP {status}: {shown})")
    return EmbeddingRemoteError(f"{name}: HTTP {status}: {shown}", status)


def _unreachable(name: str, error: Exception) -> str:
    return f"{name}: cannot be reached ({str(error) or type(error).__name__}). {OFFLINE}"
