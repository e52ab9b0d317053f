"""The client over kept connections."""

from __future__ import annotations

import json as codec
from typing import Unpack

from rails_engine.http.connection import Terms
from rails_engine.http.incoming import MAX_ANSWER_BYTES
from rails_engine.http.messages import (
    HTTPClientError,
    HTTPRequest,
    HTTPResponse,
    HTTPTimeoutError,
    HTTPTLSConfig,
    RequestParts,
)
from rails_engine.http.pool import Exchange, Pool
from rails_engine.http.redirects import followed, origin_of, tls_for
from rails_engine.http.requests import RequestLine
from rails_engine.http.retry import IDEMPOTENT

DEFAULT_TIMEOUT_S = 30.0


class PooledHTTPClient:
    """Implements `ClosableHTTPClient`; it may be used from several event loops. `limit`: bytes of an answer."""

    def __init__(
        self,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        follow_redirects: bool = False,
        tls: HTTPTLSConfig | None = None,
        limit: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._timeout_s = timeout
        self._limit = limit
        self._follow = follow_redirects
        self._tls = tls or HTTPTLSConfig()
        self._pool = Pool()

    async def request(self, method: str, url: str, **parts: Unpack[RequestParts]) -> HTTPResponse:
        """See `HTTPClient.request`."""
        body, headers = _content(parts)
        timeout_s = parts.get("timeout") or self._timeout_s
        ask = HTTPRequest(method.upper(), url, headers, parts.get("params"), content=body, timeout=timeout_s)
        if not self._follow:
            return await self._sent(ask, self._tls)
        first = origin_of(url)

        async def sent(ask: HTTPRequest) -> HTTPResponse:
            return await self._sent(ask, tls_for(origin_of(ask.url), first, self._tls))

        return await followed(ask, sent)

    async def _sent(self, ask: HTTPRequest, tls: HTTPTLSConfig) -> HTTPResponse:
        where, limit = f"{ask.method} {ask.url}", ask.timeout
        again, bodiless = ask.method in IDEMPOTENT, ask.method == "HEAD"
        terms = Terms(limit, limit, resend=again, bodiless=bodiless, limit=self._limit)
        content = ask.content if isinstance(ask.content, bytes) else b""
        try:
            line = RequestLine.of(ask.method, ask.url, ask.headers or {}, ask.params, tls)
            async with Exchange(self._pool, line, content, terms) as answer:
                return HTTPResponse(answer.status, dict(answer.headers), await answer.read())
        except HTTPTimeoutError as error:
            raise HTTPTimeoutError(f"{where}: no answer within {limit} s") from error
        except HTTPClientError as error:
            raise type(error)(f"{where}: {error}") from error

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        await self._pool.close()


def _content(parts: RequestParts) -> tuple[bytes, dict[str, str]]:
    """The body, and the headers with the type of it."""
    headers = dict(parts.get("headers") or {})
    typed = any(name.lower() == "content-type" for name in headers)
    if parts.get("json") is not None:
        if not typed:
            headers["Content-Type"] = "application/json"
        return codec.dumps(parts["json"]).encode(), headers
    content = parts.get("content")
    if content is None:
        return b"", headers
    if not typed:
        headers["Content-Type"] = (
            "text/plain; charset=utf-8" if isinstance(content, str) else "application/octet-stream"
        )
    return content.encode() if isinstance(content, str) else content, headers
