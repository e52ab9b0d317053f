"""The client over `httpx`, for users who bring an `httpx.AsyncClient` of their own; httpx is imported with the first one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from rails_engine.http.client import DEFAULT_TIMEOUT_S
from rails_engine.http.messages import (
    HTTPConnectionError,
    HTTPRequest,
    HTTPResponse,
    HTTPTimeoutError,
    HTTPTLSConfig,
    RequestParts,
)
from rails_engine.http.redirects import followed
from rails_engine.http.routes import secured

if TYPE_CHECKING:
    import httpx


class HttpxHTTPClient:
    """Implements `ClosableHTTPClient`. A `client` that is given stays its owner's to close."""

    def __init__(
        self,
        client: httpx.AsyncClient | None = None,
        *,
        timeout: float | None = DEFAULT_TIMEOUT_S,
        limits: httpx.Limits | None = None,
        follow_redirects: bool = False,
        tls: HTTPTLSConfig | None = None,
    ) -> None:
        import httpx

        self._owned = client is None
        # A client that users bring follows redirects as they set it up; ours takes no credentials to other servers.
        self._follow = follow_redirects and self._owned
        self._client = client or httpx.AsyncClient(
            timeout=timeout,
            limits=limits or httpx.Limits(),
            verify=secured(tls) if tls else True,
        )

    async def request(self, method: str, url: str, **parts: Unpack[RequestParts]) -> HTTPResponse:
        """See `HTTPClient.request`."""
        ask = HTTPRequest(method.upper(), url, **parts)
        return await followed(ask, self._sent) if self._follow else await self._sent(ask)

    async def _sent(self, ask: HTTPRequest) -> HTTPResponse:
        import httpx

        limit = httpx.USE_CLIENT_DEFAULT if ask.timeout is None else httpx.Timeout(ask.timeout)
        try:
            response = await self._client.request(
                ask.method,
                ask.url,
                headers=ask.headers,
                params=ask.params,
                json=ask.json,
                content=ask.content,
                timeout=limit,
            )
        except httpx.TimeoutException as error:
            raise HTTPTimeoutError(f"{ask.method} {ask.url}: {type(error).__name__}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HTTPConnectionError(f"{ask.method} {ask.url}: {type(error).__name__}: {error}") from error
        headers = {name.lower(): value for name, value in response.headers.items()}
        return HTTPResponse(response.status_code, headers, response.content)

    async def close(self) -> None:
        """Close the connections, unless they are another's."""
        if self._owned:
            await self._client.aclose()
