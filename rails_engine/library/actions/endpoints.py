"""JSON calls of rails to the endpoints that a configuration names.

Actions are handed `http_client`, one client for all turns of a configuration, which keeps its connections; a caller may
register another one under that name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rails_engine.http import HTTPClient, HTTPClientError, http_call

MAX_ANSWER_BYTES = 4 << 20


class EndpointError(RuntimeError):
    """The endpoint of a rail could not be reached, or did not answer as asked."""


async def post_json(
    client: HTTPClient | None, url: str, body: Mapping[str, Any], headers: Mapping[str, str]
) -> Mapping[str, Any]:
    """POST `body` and read the JSON object that comes back. Redirects are not followed. Without a client one is made.

    Raises:
        EndpointError: no connection, no answer in time, another status than 200, too much, or no JSON object.
    """
    try:
        answer = await http_call(
            client, "POST", url, raise_for_status=False, json=dict(body), headers=headers
        )
    except HTTPClientError as error:
        raise EndpointError(str(error)) from error
    return _read(url, answer.status_code, answer.content)


def _read(url: str, status: int, text: bytes) -> Mapping[str, Any]:
    if status != 200:
        raise EndpointError(f"{url}: HTTP {status}: {text[:200]!r}")
    if len(text) > MAX_ANSWER_BYTES:
        raise EndpointError(f"{url}: more than {MAX_ANSWER_BYTES >> 20} MiB")
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise EndpointError(f"{url}: the answer is no JSON: {text[:200]!r}") from error
    if not isinstance(data, dict):
        raise EndpointError(f"{url}: the answer is no JSON object: {text[:200]!r}")
    return data


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names stand for one value each."""
    fields = dict(pairs)
    if any(fields[name] != value for name, value in pairs):
        raise ValueError("a name has two values")
    return fields
