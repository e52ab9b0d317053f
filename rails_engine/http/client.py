"""The client over pooled aiohttp connections, and the two functions that most callers need."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from rails_engine.http.messages import (
    ClosableHTTPClient,
    HTTPClient,
    HTTPClientError,
    HTTPConnectionError,
    HTTPRequest,
    HTTPResponse,
    HTTPTimeoutError,
    HTTPTLSConfig,
    RequestParts,
)
from rails_engine.http.retry import RetryingHTTPClient, RetryPolicy

if TYPE_CHECKING:
    import aiohttp

    from rails_engine.sessions import Sessions

MAX_ANSWER_BYTES = 64 << 20
DEFAULT_TIMEOUT_S = 30.0


class AiohttpClient:
    """Implements `ClosableHTTPClient`; it may be used from several event loops."""

    def __init__(
        self,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        follow_redirects: bool = False,
        tls: HTTPTLSConfig | None = None,
    ) -> None:
        self._timeout_s = timeout
        self._follow = follow_redirects
        self._tls = _context(tls or HTTPTLSConfig())
        self._sessions: Sessions | None = None

    async def request(self, method: str, url: str, **parts: Unpack[RequestParts]) -> HTTPResponse:
        """See `HTTPClient.request`."""
        import aiohttp

        limit = aiohttp.ClientTimeout(total=parts.get("timeout") or self._timeout_s)
        try:
            async with self._session().request(
                method,
                url,
                headers=parts.get("headers"),
                params=parts.get("params"),
                json=parts.get("json"),
                data=parts.get("content"),
                timeout=limit,
                allow_redirects=self._follow,
                ssl=self._tls,
            ) as response:
                headers = {name.lower(): value for name, value in response.headers.items()}
                return HTTPResponse(response.status, headers, await _body(response))
        except TimeoutError as error:
            raise HTTPTimeoutError(f"{method} {url}: no answer within {limit.total} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise HTTPConnectionError(f"{method} {url}: {type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        if self._sessions is not None:
            await self._sessions.close()

    def _session(self) -> aiohttp.ClientSession:
        from rails_engine.sessions import Sessions

        if self._sessions is None:
            self._sessions = Sessions()
        return self._sessions.get()


async def _body(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise HTTPClientError(f"{response.url}: an answer of more than {MAX_ANSWER_BYTES >> 20} MiB")
    return b"".join(parts)


def _context(tls: HTTPTLSConfig) -> ssl.SSLContext | bool:
    if tls == HTTPTLSConfig():
        return True
    if not tls.verify:
        return False
    context = ssl.create_default_context(cafile=tls.ca_bundle)
    if tls.client_certificate:
        context.load_cert_chain(tls.client_certificate, tls.client_key)
    return context


def create_http_client(
    *,
    timeout: float | None = DEFAULT_TIMEOUT_S,
    retry_policy: RetryPolicy | None = None,
    follow_redirects: bool = False,
    tls: HTTPTLSConfig | None = None,
) -> ClosableHTTPClient:
    """A client; with a policy it tries again what may be tried again."""
    client = AiohttpClient(timeout=timeout, follow_redirects=follow_redirects, tls=tls)
    return RetryingHTTPClient(client, retry_policy) if retry_policy else client


async def http_call(
    client: HTTPClient | None,
    method: str,
    url: str,
    *,
    raise_for_status: bool = True,
    factory: Callable[[], ClosableHTTPClient] = create_http_client,
    **parts: Unpack[RequestParts],
) -> HTTPResponse:
    """One request with `client`, or with one made by `factory` for this call.

    Raises:
        HTTPClientError: there is no answer, or, with `raise_for_status`, no success.
    """
    if client is None:
        own = factory()
        try:
            return await http_call(own, method, url, raise_for_status=raise_for_status, **parts)
        finally:
            await own.close()
    response = await client.request(method, url, **parts)
    if raise_for_status:
        response.raise_for_status(HTTPRequest(method, url, **parts))
    return response
