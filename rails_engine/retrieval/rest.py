"""One JSON request to a remote service: time limit, retries with jitter, `Retry-After`, typed errors."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from rails_engine.http import (
    HTTPAnswerSizeError,
    HTTPClient,
    HTTPClientError,
    HTTPResponse,
    PooledHTTPClient,
)
from rails_engine.retrieval.errors import EmbeddingConfigError, EmbeddingRemoteError

MAX_REPLY_BYTES = 256 << 20
LONGEST_WAIT_S = 20.0
_WORTH_RETRYING = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Service:
    """A service and how patient to be with it; `name` is what errors call it."""

    name: str
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 30.0
    retries: int = 2


async def post_json(client: HTTPClient, service: Service, url: str, body: Mapping[str, Any]) -> Any:
    """The JSON reply to `body`.

    Raises:
        EmbeddingConfigError: the key was refused.
        EmbeddingRemoteError: no usable answer after the retries.
    """
    for attempt in range(service.retries + 1):
        last = attempt == service.retries
        try:
            reply = await _post(client, service, url, body)
        except HTTPClientError as error:
            if last:
                raise EmbeddingRemoteError(_unreachable(service.name, error)) from error
            await asyncio.sleep(_pause(attempt, None))
            continue
        if reply.status_code == 200:
            return _parsed(service.name, reply.content)
        if last or reply.status_code not in _WORTH_RETRYING:
            raise _refusal(service.name, reply.status_code, reply.content)
        await asyncio.sleep(_pause(attempt, reply.headers.get("retry-after")))
    raise EmbeddingRemoteError(f"{service.name}: not asked, retries is {service.retries}")


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[HTTPClient]:
    """A client for a few requests in a row, which share a connection; it honours the proxy variables."""
    client = PooledHTTPClient(timeout=service.timeout_s, follow_redirects=True, limit=MAX_REPLY_BYTES)
    try:
        yield client
    finally:
        await client.close()


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


async def _post(client: HTTPClient, service: Service, url: str, body: Mapping[str, Any]) -> HTTPResponse:
    try:
        return await client.request("POST", url, json=body, headers=service.headers)
    except HTTPAnswerSizeError as error:
        raise EmbeddingRemoteError(
            f"{service.name}: the reply is larger than {MAX_REPLY_BYTES >> 20} MiB"
        ) from error


def _pause(attempt: int, retry_after: str | None) -> float:
    """Seconds to wait: what the service asks for, else doubling from half a second; always with jitter."""
    try:
        asked = float(retry_after or "")
    except ValueError:
        asked = 0.5 * 2**attempt
    return min(max(asked, 0.0), LONGEST_WAIT_S) * random.uniform(1.0, 1.25)


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
    return (
        f"{name}: cannot be reached ({str(error) or type(error).__name__}). Without a network, leave the engine out to use the "
        "built-in offline embedder, or name a model folder with `engine: local`."
    )
