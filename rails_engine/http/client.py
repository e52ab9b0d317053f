"""The client over kept connections, and the two functions that most callers need."""

from __future__ import annotations

import json as codec
from collections.abc import Mapping
from typing import Unpack
from urllib.parse import urljoin, urlsplit

from rails_engine.http.connection import Terms
from rails_engine.http.incoming import MAX_ANSWER_BYTES
from rails_engine.http.messages import (
    HTTPClientError,
    HTTPConnectionError,
    HTTPRequest,
    HTTPResponse,
    HTTPTimeoutError,
    HTTPTLSConfig,
    RequestParts,
)
from rails_engine.http.pool import Exchange, Pool
from rails_engine.http.requests import RequestLine
from rails_engine.http.retry import IDEMPOTENT

DEFAULT_TIMEOUT_S = 30.0
MAX_REDIRECTS = 10
_MOVED = frozenset({301, 302, 303, 307, 308})
_ASKED_AGAIN_WITH_GET = frozenset({301, 302, 303})
_FOR_ONE_SERVER = frozenset({"authorization", "cookie", "proxy-authorization"})
_OF_A_BODY = frozenset({"content-type", "content-length", "content-encoding"})


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
        ask = HTTPRequest(method.upper(), url, headers, parts.get("params"), content=body)
        timeout_s = parts.get("timeout") or self._timeout_s
        for _ in range(MAX_REDIRECTS):
            response = await self._sent(ask, timeout_s)
            if not self._follow or response.status_code not in _MOVED or "location" not in response.headers:
                return response
            ask = _redirected(ask, response)
        raise HTTPConnectionError(f"{method} {url}: more than {MAX_REDIRECTS} redirects")

    async def _sent(self, ask: HTTPRequest, timeout_s: float | None) -> HTTPResponse:
        where = f"{ask.method} {ask.url}"
        again, bodiless = ask.method in IDEMPOTENT, ask.method == "HEAD"
        terms = Terms(timeout_s, timeout_s, resend=again, bodiless=bodiless, limit=self._limit)
        content = ask.content if isinstance(ask.content, bytes) else b""
        try:
            line = RequestLine.of(ask.method, ask.url, ask.headers or {}, ask.params, self._tls)
            async with Exchange(self._pool, line, content, terms) as answer:
                return HTTPResponse(answer.status, dict(answer.headers), await answer.read())
        except HTTPTimeoutError as error:
            raise HTTPTimeoutError(f"{where}: no answer within {timeout_s} s") from error
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


def _redirected(ask: HTTPRequest, response: HTTPResponse) -> HTTPRequest:
    """The request that a redirect asks for; what proves who we are goes to no other server."""
    url = urljoin(ask.url, response.headers["location"])
    headers = dict(ask.headers or {})
    if _server(url) != _server(ask.url):
        headers = _without(headers, _FOR_ONE_SERVER)
    if response.status_code in _ASKED_AGAIN_WITH_GET and ask.method not in ("GET", "HEAD"):
        return HTTPRequest("GET", url, _without(headers, _OF_A_BODY))
    return HTTPRequest(ask.method, url, headers, content=ask.content)


def _server(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _without(headers: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in names}
