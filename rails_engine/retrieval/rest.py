"""One JSON request to a remote service: time limit, retries with jitter, `Retry-After`, typed errors."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rails_engine.retrieval.errors import EmbeddingConfigError, EmbeddingRemoteError

if TYPE_CHECKING:
    import aiohttp

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


async def post_json(
    session: aiohttp.ClientSession, service: Service, url: str, body: Mapping[str, Any]
) -> Any:
    """The JSON reply to `body`.

    Raises:
        EmbeddingConfigError: the key was refused.
        EmbeddingRemoteError: no usable answer after the retries.
    """
    import aiohttp

    for attempt in range(service.retries + 1):
        last = attempt == service.retries
        try:
            status, headers, text = await _post(session, service, url, body)
        except (aiohttp.ClientError, TimeoutError) as error:
            if last:
                raise EmbeddingRemoteError(_unreachable(service.name, error)) from error
            await asyncio.sleep(_pause(attempt, None))
            continue
        if status == 200:
            return _parsed(service.name, text)
        if last or status not in _WORTH_RETRYING:
            raise _refusal(service.name, status, text)
        await asyncio.sleep(_pause(attempt, headers.get("Retry-After")))
    raise EmbeddingRemoteError(f"{service.name}: not asked, retries is {service.retries}")


def open_session(service: Service) -> aiohttp.ClientSession:
    """A session for a few requests in a row; it honours the proxy variables. Close it."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=service.timeout_s)
    return aiohttp.ClientSession(headers=dict(service.headers), timeout=timeout, trust_env=True)


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


async def _post(
    session: aiohttp.ClientSession, service: Service, url: str, body: Mapping[str, Any]
) -> tuple[int, Mapping[str, str], bytes]:
    async with session.post(url, json=body) as reply:
        content = await reply.content.read(MAX_REPLY_BYTES)
        if not reply.content.at_eof():
            raise EmbeddingRemoteError(
                f"{service.name}: the reply is larger than {MAX_REPLY_BYTES >> 20} MiB"
            )
        return reply.status, reply.headers, content


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
