"""The two functions that most callers need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

from rails_engine.http.client import DEFAULT_TIMEOUT_S, PooledHTTPClient
from rails_engine.http.httpx_client import HttpxHTTPClient
from rails_engine.http.messages import (
    ClosableHTTPClient,
    HTTPClient,
    HTTPRequest,
    HTTPResponse,
    HTTPTLSConfig,
    RequestParts,
)
from rails_engine.http.retry import RetryingHTTPClient, RetryPolicy

if TYPE_CHECKING:
    import httpx


def create_http_client(
    *,
    httpx_client: httpx.AsyncClient | None = None,
    timeout: float | None = DEFAULT_TIMEOUT_S,
    limits: httpx.Limits | None = None,
    retry_policy: RetryPolicy | None = None,
    follow_redirects: bool = False,
    tls: HTTPTLSConfig | None = None,
) -> ClosableHTTPClient:
    """A client; with a policy it tries again what may be tried again. What only httpx has is had from httpx."""
    client: ClosableHTTPClient
    if httpx_client is not None or limits is not None:
        client = HttpxHTTPClient(
            httpx_client, timeout=timeout, limits=limits, follow_redirects=follow_redirects, tls=tls
        )
    else:
        client = PooledHTTPClient(timeout=timeout, follow_redirects=follow_redirects, tls=tls)
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
