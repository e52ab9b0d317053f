"""From a URL to where its server is and what is asked of it there."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from rails_engine.http.messages import HTTPConnectionError

PORTS = {"http": 80, "https": 443}
_PATH = "/%:@!$&'()*+,;=~-._"
_QUERY = _PATH + "?"


@dataclass(frozen=True)
class Origin:
    """A server by scheme (http or https), host (in ASCII, an IPv6 address without brackets) and port."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """True for https."""
        return self.scheme == "https"

    @cached_property
    def at(self) -> str:
        """Host and port as `CONNECT` names them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @cached_property
    def authority(self) -> str:
        """As in the header `Host`: the port only where it is not the scheme's own."""
        return self.at.rpartition(":")[0] if self.port == PORTS[self.scheme] else self.at


@dataclass(frozen=True)
class Address:
    """A URL taken apart. `target` is its path and query; `credentials` the value of a Basic authorization in it."""

    origin: Origin
    target: str
    credentials: str | None = None

    @property
    def url(self) -> str:
        """The URL without its credentials."""
        return f"{self.origin.scheme}://{self.origin.authority}{self.target}"


def address_of(url: str, params: Mapping[str, Any] | None = None) -> Address:
    """The parts of an `http://` or `https://` URL, with `params` added to its query.

    Raises:
        HTTPConnectionError: it is no such URL.
    """
    try:
        parts = urlsplit(url.strip())
        scheme = parts.scheme.lower()
        port = parts.port or PORTS.get(scheme)
        host = _ascii_host(parts.hostname or "")
    except ValueError as error:
        raise HTTPConnectionError(f"{url!r} is no URL: {error}") from error
    if scheme not in PORTS or port is None or not host:
        raise HTTPConnectionError(f"{url!r} is no URL of a server: it needs http:// or https:// and a host")
    return Address(Origin(scheme, host, port), _target(parts, params), basic(parts))


def _ascii_host(host: str) -> str:
    text = host if host.isascii() else host.encode("idna").decode("ascii")
    if any(sign <= " " or sign == "\x7f" for sign in text):
        raise ValueError("a host has no blanks")
    return text


def _target(parts: SplitResult, params: Mapping[str, Any] | None) -> str:
    path = quote(parts.path or "/", safe=_PATH)
    added = urlencode(params, doseq=True) if params else ""
    query = "&".join(text for text in (quote(parts.query, safe=_QUERY), added) if text)
    return f"{path}?{query}" if query else path


def basic(parts: SplitResult) -> str | None:
    """The user and password of a URL as the value of a header, if it has any."""
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode("ascii")
