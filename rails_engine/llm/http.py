"""The hot path to remote models: requests over kept connections, with no more between than HTTP itself.

`benchmarks/llm_client.py` has the figures: through the `openai` SDK a call costs many times the processor time of this
path, more than a whole turn may cost, so the SDK (`sdk.py`) serves where it knows more than plain HTTP.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from rails_engine.errors import (
    LLMClientError,
    LLMConnectionError,
    LLMResponseValidationError,
    LLMTimeoutError,
)
from rails_engine.http import (
    Exchange,
    HTTPAnswerSizeError,
    HTTPClientError,
    HTTPTimeoutError,
    HTTPTLSConfig,
    Incoming,
    Pool,
    RequestLine,
    Terms,
)
from rails_engine.llm.codec import decoded, encoded
from rails_engine.llm.endpoint import Endpoint, Reply
from rails_engine.llm.failures import error_of
from rails_engine.llm.sse import EventBuffer
from rails_engine.llm.streams import Reading

MAX_ERROR_BYTES = 64 << 10
_END = "[DONE]"


class HttpTransport:
    """Implements `Transport` on connections of our own; see `rails_engine.http`."""

    def __init__(self) -> None:
        self._pool = Pool()

    def channel(self, endpoint: Endpoint) -> HttpChannel:
        """See `Transport.channel`."""
        return HttpChannel(self._pool, endpoint)

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._pool.close()


class HttpChannel:
    """Implements `Channel`. Proxies are looked up in the environment by the first request.

    A completion changes nothing on the server, so that one may be asked for again where a kept connection had been
    closed before anything of the answer came.
    """

    def __init__(self, pool: Pool, endpoint: Endpoint) -> None:
        self._pool = pool
        self._endpoint = endpoint
        self._line: RequestLine | None = None
        self._terms = Terms(endpoint.connect_timeout_s, total_s=endpoint.timeout_s, resend=True)

    async def answer(self, body: Mapping[str, Any], timeout_s: float) -> Reply:
        """See `Channel.answer`."""
        line, terms = self._line or self._ready(), self._terms
        if terms.total_s != timeout_s:
            terms = Terms(self._endpoint.connect_timeout_s, total_s=timeout_s, resend=True)
        try:
            answer = await Exchange(self._pool, line, encoded(body), terms).whole()
            if answer.status != 200:
                raise await self._refused(answer)
            return Reply(self._parsed(answer.content), answer.headers)
        except HTTPClientError as error:
            raise self._failed(error, timeout_s) from error

    async def events(self, body: Mapping[str, Any], timeout_s: float) -> AsyncIterator[Reply]:
        """See `Channel.events`."""
        line = self._ready()
        terms = Terms(self._endpoint.connect_timeout_s, idle_s=timeout_s, streaming=True, resend=True)
        exchange = Exchange(self._pool, line, encoded(body), terms)
        try:
            async with exchange as answer:
                if answer.status != 200:
                    raise await self._refused(answer)
                if b"json" in answer.fields.get(b"content-type", b""):
                    yield Reply(self._parsed(await answer.read()), answer.headers)
                    return
                async with Reading(self._told(answer)) as events:
                    async for event in events:
                        yield Reply(self._parsed(event), answer.headers)
        except HTTPClientError as error:
            raise self._failed(error, timeout_s) from error

    def _ready(self) -> RequestLine:
        if self._line is None:
            endpoint = self._endpoint
            headers = {"Content-Type": "application/json", **endpoint.request_headers()}
            tls = HTTPTLSConfig(verify=endpoint.verify_tls)
            self._line = RequestLine.of(
                "POST", endpoint.base_url + endpoint.path, headers, endpoint.query, tls
            )
        return self._line

    async def _refused(self, answer: Incoming) -> Exception:
        text = (await answer.read(MAX_ERROR_BYTES)).decode("utf-8", "replace")
        return error_of(answer.status, answer.headers, text, self._endpoint)

    async def _told(self, answer: Incoming) -> AsyncIterator[str]:
        buffer = EventBuffer()
        async for piece in answer.pieces():
            for event in self._fed(buffer, piece):
                if event == _END:
                    return
                yield event
        for event in buffer.finish():
            if event != _END:
                yield event

    def _fed(self, buffer: EventBuffer, piece: bytes) -> list[str]:
        try:
            return buffer.feed(piece)
        except ValueError as error:
            raise LLMResponseValidationError(str(error), **self._endpoint.described()) from error

    def _parsed(self, text: str | bytes) -> Mapping[str, Any]:
        try:
            data = decoded(text)
        except ValueError as error:
            shown = text[:200] if isinstance(text, str) else text[:200].decode("utf-8", "replace")
            reason = f"the answer is no JSON: {shown!r}"
            raise LLMResponseValidationError(reason, **self._endpoint.described()) from error
        if not isinstance(data, dict):
            raise LLMResponseValidationError("the answer is no JSON object", **self._endpoint.described())
        fault = data.get("error")
        if fault:
            status = fault.get("code") if isinstance(fault, dict) else None
            known = status if isinstance(status, int) and 400 <= status < 600 else 500
            raise error_of(known, {}, json.dumps(data), self._endpoint)
        return data

    def _failed(self, error: HTTPClientError, timeout_s: float) -> LLMClientError:
        described = self._endpoint.described()
        if isinstance(error, HTTPTimeoutError):
            return LLMTimeoutError(0, f"no answer within {timeout_s:g} s", **described)
        if isinstance(error, HTTPAnswerSizeError):
            return LLMResponseValidationError(str(error), **described)
        return LLMConnectionError(0, str(error), **described)
