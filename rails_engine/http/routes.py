"""The way to a server: secured or not, straight or through the proxy that the environment names.

`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` are read as Python's own `urllib` reads them, in lower case or
upper. Requests to an `http` server go to its proxy whole; for an `https` one the proxy is asked to `CONNECT`, and what
passes through is secured from end to end.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import certifi

from rails_engine.http.messages import HTTPConnectionError, HTTPTLSConfig
from rails_engine.http.origin import Origin, address_of, basic

NO_TLS = HTTPTLSConfig()


@dataclass(frozen=True)
class Proxy:
    """`credentials`: the value of `Proxy-Authorization`."""

    origin: Origin
    credentials: str | None = None


@dataclass(frozen=True)
class Route:
    """Connections of one route are alike, so that any of them may carry a request for it."""

    origin: Origin
    tls: HTTPTLSConfig = NO_TLS
    proxy: Proxy | None = None

    @cached_property
    def key(self) -> str:
        """The same for equal routes; looked up with every request, so made once."""
        return repr((self.origin, self.tls, self.proxy))

    @property
    def forwarded(self) -> bool:
        """The proxy reads the request and passes it on, rather than the bytes."""
        return self.proxy is not None and not self.origin.secure


def proxy_for(origin: Origin, proxies: Mapping[str, str] | None = None) -> Proxy | None:
    """The proxy to use for `origin`; `proxies` by scheme as `getproxies_environment` gives them, by default those.

    Raises:
        HTTPConnectionError: it is no HTTP proxy.
    """
    known = dict(getproxies_environment() if proxies is None else proxies)
    url = known.get(origin.scheme) or known.get("all")
    if not url or _excepted(origin, known.get("no", "")):
        return None
    address = address_of(url if "://" in url else f"http://{url}")
    return Proxy(address.origin, basic(urlsplit(url)))


def _excepted(origin: Origin, names: str) -> bool:
    """Whether `NO_PROXY` has the server: its host, a domain that it is in, either with the port, or `*` for all."""
    for name in (part.strip().lower().removeprefix("*.").lstrip(".") for part in names.split(",")):
        host = name.removesuffix(f":{origin.port}").strip("[]")
        if name == "*" or (host and (origin.host == host or origin.host.endswith(f".{host}"))):
            return True
    return False


def _has_authorities(context: ssl.SSLContext) -> bool:
    """Whether the machine names authorities that it trusts; some installations of Python know of none."""
    named = any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return named or context.cert_store_stats()["x509_ca"] > 0


def secured(tls: HTTPTLSConfig) -> ssl.SSLContext:
    """The context of a connection: certificates are checked unless `tls` says otherwise. Reads files.

    Raises:
        HTTPConnectionError: a file is missing or holds no certificate.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_bundle)
        if tls.ca_bundle is None and not _has_authorities(context):
            context.load_verify_locations(certifi.where())
        if tls.client_certificate:
            context.load_cert_chain(tls.client_certificate, tls.client_key)
    except (OSError, ssl.SSLError) as error:
        raise HTTPConnectionError(f"the files of the TLS configuration cannot be used: {error}") from error
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
