"""Pooled HTTP connections: one aiohttp session for each event loop, so that a client may be used from several."""

from __future__ import annotations

import asyncio
import os

import aiohttp

from rails_engine.loops import PerLoop

MAX_CONNECTIONS = 1000
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy")


class Sessions:
    """Opened when a loop first asks; those of a loop that has ended are let go."""

    def __init__(self) -> None:
        self._sessions = PerLoop(_new_session, discard=_abandon)

    def get(self) -> aiohttp.ClientSession:
        """The session of the running loop."""
        return self._sessions.get()

    async def close(self) -> None:
        """Close the sessions of every loop; those of other running loops are closed there."""
        here = asyncio.get_running_loop()
        for loop, session in self._sessions.drain():
            if loop is here:
                await session.close()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(session.close(), loop)
            else:
                _abandon(session)


def _new_session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS, keepalive_timeout=60)
    proxied = any(os.environ.get(name) for name in _PROXIES)
    return aiohttp.ClientSession(connector=connector, trust_env=proxied, cookie_jar=aiohttp.DummyCookieJar())


def _abandon(session: aiohttp.ClientSession) -> None:
    """Close a session whose loop has ended: the first step of closing drops the connections, the rest only waits."""
    closing = session.close()
    try:
        closing.send(None)
    except StopIteration:
        pass
    finally:
        closing.close()
