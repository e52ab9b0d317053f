"""Opening a connection along a route."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import aiohappyeyeballs

from rails_engine.http.connection import Connection
from rails_engine.http.incoming import Incoming
from rails_engine.http.messages import HTTPConnectionError, HTTPTLSConfig
from rails_engine.http.origin import Origin
from rails_engine.http.routes import NO_TLS, Proxy, Route

NEXT_ADDRESS_S = 0.25
"""How long one address of a host may take before the next one is tried beside it (RFC 8305)."""

Secured = Callable[[HTTPTLSConfig], Awaitable[ssl.SSLContext]]


async def opened(route: Route, secure: Secured, make: Callable[[], Connection]) -> Connection:
    """A new connection made by `make`, ready to send; `secure` gives the TLS contexts.

    Raises:
        HTTPConnectionError: there is none to be had.
    """
    try:
        if route.proxy is None:
            return await _dialled(route.origin, route.tls, secure, make)
        if route.forwarded:
            return await _dialled(route.proxy.origin, NO_TLS, secure, make)
        return await _tunnelled(route, route.proxy, secure, make)
    except (OSError, EOFError) as error:
        raise HTTPConnectionError(_in_words(error)) from error


def _in_words(error: OSError | EOFError) -> str:
    """Why there is no connection, as somebody reads it who knows the address."""
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror})"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)"
    return f"{type(error).__name__}: {error}"


async def _dialled(
    origin: Origin, tls: HTTPTLSConfig, secure: Secured, make: Callable[[], Connection]
) -> Connection:
    loop = asyncio.get_running_loop()
    context = await secure(tls) if origin.secure else None
    addresses = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    # asyncio can do this too, but loses sockets where it is cancelled meanwhile.
    sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS_S, loop=loop)
    _, connection = await loop.create_connection(
        make, sock=sock, ssl=context, server_hostname=origin.host if context else None
    )
    return connection


async def _tunnelled(
    route: Route, proxy: Proxy, secure: Secured, make: Callable[[], Connection]
) -> Connection:
    loop = asyncio.get_running_loop()
    first = await _dialled(proxy.origin, NO_TLS, secure, lambda: Connection(loop, lambda _: None))
    with ExitStack() as unfinished:
        unfinished.callback(first.abort)
        context = await secure(route.tls)
        plain = await _asked_through(first, route.origin, proxy)
        through = await loop.start_tls(plain, first, context, server_hostname=route.origin.host)
        unfinished.pop_all()
    if through is None:
        raise HTTPConnectionError("the proxy closed the connection")
    connection = make()
    through.set_protocol(connection)
    connection.connection_made(through)
    return connection


async def _asked_through(connection: Connection, origin: Origin, proxy: Proxy) -> asyncio.Transport:
    """What the proxy lets pass to `origin` from now on."""
    answer = Incoming(bodiless=True)
    proof = f"Proxy-Authorization: {proxy.credentials}\r\n" if proxy.credentials else ""
    request = f"CONNECT {origin.at} HTTP/1.1\r\nHost: {origin.at}\r\n{proof}\r\n"
    connection.send(request.encode("latin-1"), answer, None, None)
    await answer.arrived()
    if answer.status != 200 or connection.transport is None:
        raise HTTPConnectionError(f"the proxy {proxy.origin.at} answered CONNECT with HTTP {answer.status}")
    return connection.transport
