"""JSON calls of rails to the endpoints that a configuration names."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from rails_engine.http import HTTPClientError, PooledHTTPClient

TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 4 << 20

JsonPoster: TypeAlias = Callable[[str, Mapping[str, Any], Mapping[str, str]], Awaitable[Mapping[str, Any]]]
"""Takes an address, a body and headers; gives the JSON object that comes back."""


class EndpointError(RuntimeError):
    """The endpoint of a rail could not be reached, or did not answer as asked."""


async def post_json(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Mapping[str, Any]:
    """POST `body` and read the JSON object that comes back. Redirects are not followed.

    Raises:
        EndpointError: no connection, no answer in time, another status than 200, too much, or no JSON object.
    """
    client = PooledHTTPClient(timeout=TIMEOUT_S, limit=MAX_ANSWER_BYTES)
    try:
        answer = await client.request("POST", url, json=dict(body), headers=headers)
    except HTTPClientError as error:
        raise EndpointError(str(error)) from error
    finally:
        await client.close()
    return _read(url, answer.status_code, answer.content)


def _read(url: str, status: int, text: bytes) -> Mapping[str, Any]:
    if status != 200:
        raise EndpointError(f"{url}: HTTP {status}: {text[:200]!r}")
    try:
        data = json.loads(text)
    except ValueError as error:
        raise EndpointError(f"{url}: the answer is no JSON: {text[:200]!r}") from error
    if not isinstance(data, dict):
        raise EndpointError(f"{url}: the answer is no JSON object: {text[:200]!r}")
    return data
