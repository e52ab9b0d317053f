"""The way to a server: secured, and through proxies."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from rails_engine.http import (
    HTTPConnectionError,
    HTTPTimeoutError,
    HTTPTLSConfig,
    Pool,
    Terms,
    create_http_client,
    routes,
)
from rails_engine.http.origin import address_of
from rails_engine.http.routes import proxy_for
from tests.rails_engine.http.conftest import Serve, Server, Visit, asked, polite, until


def secured(authority: trustme.CA, *names: str, clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path) -> HTTPTLSConfig:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return HTTPTLSConfig(ca_bundle=str(tmp_path / "ca.pem"))


# --- TLS ---------------------------------------------------------------------------------------------------------------


async def test_a_server_of_a_known_authority(
    serve: Serve, pool: Pool, authority: trustme.CA, trusted: HTTPTLSConfig
) -> None:
    server = await serve(polite, secured(authority, "127.0.0.1"))
    large = b"x" * (4 << 20)
    for body in (b"one", large, b"two"):
        assert await asked(pool, server.line(tls=trusted), body) == body
    assert server.visits == 1


async def test_certificates_are_checked(
    serve: Serve, pool: Pool, authority: trustme.CA, trusted: HTTPTLSConfig
) -> None:
    server = await serve(polite, secured(authority, "127.0.0.1"))
    with pytest.raises(HTTPConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        await asked(pool, server.line())
    elsewhere = await serve(polite, secured(authority, "other.example"))
    with pytest.raises(HTTPConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        await asked(pool, elsewhere.line(tls=trusted))
    assert server.requests == elsewhere.requests == []


async def test_checks_can_be_switched_off(serve: Serve, pool: Pool, authority: trustme.CA) -> None:
    server = await serve(polite, secured(authority, "other.example"))
    assert await asked(pool, server.line(tls=HTTPTLSConfig(verify=False))) == b"hello"


async def test_a_server_that_wants_a_certificate_of_its_clients_gets_one(
    serve: Serve, pool: Pool, authority: trustme.CA, trusted: HTTPTLSConfig, tmp_path: Path
) -> None:
    authority.issue_cert("client.example").private_key_and_cert_chain_pem.write_to_path(
        str(tmp_path / "me.pem")
    )
    server = await serve(polite, secured(authority, "127.0.0.1", clients=authority))
    known = HTTPTLSConfig(ca_bundle=trusted.ca_bundle, client_certificate=str(tmp_path / "me.pem"))
    assert await asked(pool, server.line(tls=known)) == b"hello"
    with pytest.raises(HTTPConnectionError):
        await asked(pool, server.line(tls=trusted))


async def test_a_missing_certificate_file_is_named_as_the_fault(serve: Serve, pool: Pool) -> None:
    server = await serve(polite)
    server.scheme = "https"
    with pytest.raises(HTTPConnectionError, match="files of the TLS configuration"):
        await asked(pool, server.line(tls=HTTPTLSConfig(ca_bundle="/nowhere/ca.pem")))


async def test_a_server_that_never_secures_is_given_up(serve: Serve, pool: Pool) -> None:
    async def mute(visit: Visit) -> None:
        await visit.left()

    server = await serve(mute)
    server.scheme = "https"
    with pytest.raises(HTTPTimeoutError):
        await asked(pool, server.line(), terms=Terms(connect_s=0.1))
    await until(lambda: server.open_now == 0)


# --- proxies -----------------------------------------------------------------------------------------------------------


async def tunnel(visit: Visit) -> None:
    """A proxy for CONNECT: passes bytes both ways."""
    head, _ = await visit.request()
    if b"Proxy-Authorization: Basic dTpw" not in head:
        await visit.answer(b"", status=b"407 Proxy Authentication Required")
        return
    port = int(head.split(b" ")[1].rpartition(b":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await visit.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    await asyncio.gather(pass_on(visit.reader, writer), pass_on(reader, visit.writer))


async def test_an_https_server_behind_a_proxy(
    serve: Serve, pool: Pool, authority: trustme.CA, trusted: HTTPTLSConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve(polite, secured(authority, "127.0.0.1"))
    proxy = await serve(tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"http://u:p@127.0.0.1:{proxy.port}")
    line = server.line(tls=trusted, Authorization="Bearer secret")
    for body in (b"one", b"two"):
        assert await asked(pool, line, body) == body
    assert (proxy.visits, server.visits, len(proxy.requests)) == (1, 1, 1)
    head = proxy.requests[0][0]
    assert head.startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % server.port)
    assert b"secret" not in head


async def test_a_proxy_that_refuses(serve: Serve, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = await serve(tunnel)
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{proxy.port}")
    nowhere = Server(polite, scheme="https", port=9)
    with pytest.raises(HTTPConnectionError, match="answered CONNECT with HTTP 407"):
        await asked(pool, nowhere.line())


async def test_an_http_server_behind_a_proxy(
    serve: Serve, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await serve(polite)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", f"http://u:p@127.0.0.1:{proxy.port}")
    client = create_http_client()
    answer = await client.request("POST", "http://models.example/v1?x=1", content="hi")
    await client.close()
    assert answer.text == "hi"
    head = proxy.requests[0][0]
    assert head.startswith(b"POST http://models.example/v1?x=1 HTTP/1.1\r\nHost: models.example\r\n")
    assert b"Proxy-Authorization: Basic dTpw\r\n" in head


@pytest.mark.parametrize(
    ("url", "proxies", "expected"),
    [
        ("http://h/", {}, None),
        ("http://h/", {"https": "http://p:1"}, None),
        ("http://h/", {"http": "http://p:1"}, "p:1"),
        ("https://h/", {"all": "p:1"}, "p:1"),
        ("https://a.h/", {"https": "p:1", "no": "x, .h"}, None),
        ("https://h/", {"https": "p:1", "no": "h"}, None),
        ("https://ah/", {"https": "p:1", "no": "h"}, "p:1"),
        ("https://h:8/", {"https": "p:1", "no": "h:8"}, None),
        ("https://h:8/", {"https": "p:1", "no": "h:9"}, "p:1"),
        ("https://[::1]/", {"https": "p:1", "no": "[::1]"}, None),
        ("https://h/", {"https": "p:1", "no": "*"}, None),
    ],
)
def test_a_request_goes_by_the_proxy_of_its_scheme_unless_excepted(
    url: str, proxies: dict[str, str], expected: str | None
) -> None:
    proxy = proxy_for(address_of(url).origin, proxies)
    assert (proxy and proxy.origin.at) == expected


def test_a_proxy_of_another_kind_is_refused() -> None:
    with pytest.raises(HTTPConnectionError, match="no URL of a server"):
        proxy_for(address_of("http://h/").origin, {"http": "socks5://p:1"})


@pytest.mark.parametrize(("named", "known"), [({}, True), ({"SSL_CERT_FILE": "/nowhere"}, False)])
def test_where_python_knows_no_authorities_there_are_those_of_certifi_unless_others_are_named(
    monkeypatch: pytest.MonkeyPatch, named: dict[str, str], known: bool
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: None)
    assert bool(routes.secured(HTTPTLSConfig()).get_ca_certs()) == known
