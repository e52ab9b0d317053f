"""Where an answer sends a request on, and what of the request may go there.

What proves who we are is for one server. Which headers do that no list can say, since services name their keys as they
like (`x-goog-api-key`, `api-key`, what a configuration adds); so to another server only those go along that describe
the body and what may be answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeAlias
from urllib.parse import urljoin

from rails_engine.http.messages import HTTPConnectionError, HTTPRequest, HTTPResponse, HTTPTLSConfig
from rails_engine.http.origin import Origin, address_of

MAX_REDIRECTS = 10
_MOVED = frozenset({301, 302, 303, 307, 308})
_ASKED_AGAIN_WITH_GET = frozenset({301, 302, 303})
_OF_A_BODY = frozenset({"content-type", "content-length", "content-encoding"})
_FOR_ANY_SERVER = _OF_A_BODY | {"accept", "accept-encoding", "accept-language", "user-agent"}

Send: TypeAlias = Callable[[HTTPRequest], Awaitable[HTTPResponse]]


async def followed(ask: HTTPRequest, send: Send) -> HTTPResponse:
    """The answer of the server where the redirects end.

    Raises:
        HTTPConnectionError: there are too many of them, or one leads nowhere, or away from what is encrypted.
        whatever `send` raises.
    """
    first = ask
    for _ in range(MAX_REDIRECTS):
        response = await send(ask)
        if response.status_code not in _MOVED or "location" not in response.headers:
            return response
        ask = _redirected(ask, response)
    raise HTTPConnectionError(f"{first.method} {first.url}: more than {MAX_REDIRECTS} redirects")


def _redirected(ask: HTTPRequest, response: HTTPResponse) -> HTTPRequest:
    """The request that a redirect asks for."""
    url = urljoin(ask.url, response.headers["location"])
    old, new = origin_of(ask.url), origin_of(url)
    if old.secure and not new.secure:
        raise HTTPConnectionError(f"{ask.method} {ask.url}: redirected from https to http, which is refused")
    headers = dict(ask.headers or {})
    if new != old:
        headers = {name: value for name, value in headers.items() if name.lower() in _FOR_ANY_SERVER}
    if response.status_code in _ASKED_AGAIN_WITH_GET and ask.method not in ("GET", "HEAD"):
        return HTTPRequest("GET", url, _without(headers, _OF_A_BODY), timeout=ask.timeout)
    return replace(ask, url=url, headers=headers, params=None)


def origin_of(url: str) -> Origin:
    """The server of a URL.

    Raises:
        HTTPConnectionError: it is none.
    """
    return address_of(url).origin


def tls_for(origin: Origin, first: Origin, tls: HTTPTLSConfig) -> HTTPTLSConfig:
    """The configuration for a server that redirects led to: our own certificate is for the first one alone."""
    return tls if origin == first else replace(tls, client_certificate=None, client_key=None)


def _without(headers: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in names}
