"""The bytes of a request. What would end a line inside a header field is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rails_engine.http.messages import HTTPClientError, HTTPTLSConfig
from rails_engine.http.origin import Address, address_of
from rails_engine.http.routes import NO_TLS, Route, proxy_for

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAK = re.compile(r"[\r\n\0]")
_OURS = frozenset({"content-length", "transfer-encoding", "connection"})
USER_AGENT = "interlock-rails"


@dataclass(frozen=True, slots=True)
class RequestLine:
    """What requests of one kind share: the way they go, and all their bytes up to the length of the body."""

    route: Route
    head: bytes

    @classmethod
    def of(
        cls,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None = None,
        tls: HTTPTLSConfig = NO_TLS,
    ) -> RequestLine:
        """For `method` at `url`; the proxy is the one that the environment names now.

        Raises:
            HTTPConnectionError: the URL, or that of the proxy, is none.
            HTTPClientError: the method, or the name or value of a header, cannot be sent.
        """
        address = address_of(url, params)
        route = Route(address.origin, tls, proxy_for(address.origin))
        return cls(route, _head(method, address, route, headers))

    def request(self, body: bytes) -> bytes:
        """The bytes of a whole request."""
        return b"%b%d\r\n\r\n%b" % (self.head, len(body), body)


def _head(method: str, address: Address, route: Route, headers: Mapping[str, str]) -> bytes:
    """Everything before the value of `Content-Length`, which comes last. `headers` win over those made here."""
    if not _TOKEN.fullmatch(method):
        raise HTTPClientError(f"{method!r} is no method of HTTP")
    target = address.url if route.forwarded else address.target
    made = {
        "Host": address.origin.authority,
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
        "User-Agent": USER_AGENT,
    }
    if address.credentials:
        made["Authorization"] = address.credentials
    if route.forwarded and route.proxy is not None and route.proxy.credentials:
        made["Proxy-Authorization"] = route.proxy.credentials
    given = {name.lower() for name in headers}
    fields = {name: value for name, value in made.items() if name.lower() not in given}
    fields |= {name: value for name, value in headers.items() if name.lower() not in _OURS}
    lines = [f"{method} {target} HTTP/1.1", *(_field(name, str(value)) for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\nContent-Length: ").encode()


def _field(name: str, value: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise HTTPClientError(f"{name!r} is no name of a header")
    if _BREAK.search(value):
        raise HTTPClientError(f"the value of the header {name} has a line break in it")
    return f"{name}: {value.strip()}"
