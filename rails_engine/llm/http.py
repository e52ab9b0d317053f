"""The hot path to remote models: one pooled aiohttp session for each event loop.

`benchmarks/llm_client.py` has the figures: through the `openai` SDK a call costs several times the processor time
of this path, more than a whole turn may cost, so the SDK (`sdk.py`) serves where it knows more than plain HTTP.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from rails_engine.errors import LLMConnectionError, LLMResponseValidationError, LLMTimeoutError
from rails_engine.llm.endpoint import Endpoint
from rails_engine.llm.failures import error_of
from rails_engine.llm.sse import EventBuffer
from rails_engine.sessions import Sessions

MAX_ANSWER_BYTES = 64 << 20
MAX_ERROR_BYTES = 64 << 10
_END = "[DONE]"


class HttpTransport:
    """Implements `Transport` on aiohttp."""

    def __init__(self) -> None:
        self._sessions = Sessions()

    async def exchange(
        self, endpoint: Endpoint, body: Mapping[str, Any], timeout_s: float
    ) -> AsyncIterator[Mapping[str, Any]]:
        """See `Transport.exchange`."""
        streaming = bool(body.get("stream"))
        timeout = aiohttp.ClientTimeout(
            total=None if streaming else timeout_s,
            sock_connect=endpoint.connect_timeout_s,
            sock_read=timeout_s,
        )
        headers = {"Content-Type": "application/json", **endpoint.request_headers()}
        try:
            async with self._sessions.get().post(
                endpoint.base_url + endpoint.path,
                params=endpoint.query or None,
                data=json.dumps(body, default=str).encode(),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                ssl=endpoint.verify_tls,
            ) as response:
                async for data in _answer(response, endpoint, streaming=streaming):
                    yield data
        except TimeoutError as error:
            raise LLMTimeoutError(0, f"no answer within {timeout_s:g} s", **endpoint.described()) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise LLMConnectionError(0, reason, **endpoint.described()) from error

    async def close(self) -> None:
        """See `Sessions.close`."""
        await self._sessions.close()


async def _answer(
    response: aiohttp.ClientResponse, endpoint: Endpoint, *, streaming: bool
) -> AsyncIterator[Mapping[str, Any]]:
    if response.status != 200:
        text = (await response.content.read(MAX_ERROR_BYTES)).decode("utf-8", "replace")
        headers = {name.lower(): value for name, value in response.headers.items()}
        raise error_of(response.status, headers, text, endpoint)
    if streaming and "json" not in response.content_type:
        async for data in _events(response, endpoint):
            yield data
    else:
        yield _parsed(await _whole(response, endpoint), endpoint)


async def _whole(response: aiohttp.ClientResponse, endpoint: Endpoint) -> bytes:
    """The body, bounded, as the server says its length or not."""
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            reason = f"an answer of more than {MAX_ANSWER_BYTES >> 20} MiB"
            raise LLMResponseValidationError(reason, **endpoint.described())
    return b"".join(parts)


async def _events(response: aiohttp.ClientResponse, endpoint: Endpoint) -> AsyncIterator[Mapping[str, Any]]:
    buffer = EventBuffer()
    async for piece in response.content.iter_any():
        try:
            events = buffer.feed(piece)
        except ValueError as error:
            raise LLMResponseValidationError(str(error), **endpoint.described()) from error
        for event in events:
            if event == _END:
                return
            yield _parsed(event, endpoint)
    for event in buffer.finish():
        if event != _END:
            yield _parsed(event, endpoint)


def _parsed(text: str | bytes, endpoint: Endpoint) -> Mapping[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        shown = text[:200] if isinstance(text, str) else text[:200].decode("utf-8", "replace")
        raise LLMResponseValidationError(
            f"the answer is no JSON: {shown!r}", **endpoint.described()
        ) from error
    if not isinstance(data, dict):
        raise LLMResponseValidationError("the answer is no JSON object", **endpoint.described())
    fault = data.get("error")
    if fault:
        status = fault.get("code") if isinstance(fault, dict) else None
        known = status if isinstance(status, int) and 400 <= status < 600 else 500
        raise error_of(known, {}, json.dumps(data), endpoint)
    return data
