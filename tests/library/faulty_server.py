"""A model server, and an endpoint of rails, that fails in the way that the first part of the path says."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from tests.library.fault_table import ANSWER, CALL
from tests.loopback import serving

HELD_S = 5.0
"""How long a hanging or dripping answer lasts, far beyond any time limit of a rail."""


def completion(text: str, **message: Any) -> dict[str, Any]:
    whole = {"role": "assistant", "content": text, **message}
    return {"id": "r1", "model": "m", "choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]}


async def handle(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    fault = request.match_info["fault"]
    if fault == "fine":
        return await _answered(request, streaming=bool(body.get("stream")))
    if fault == "tools":
        return web.json_response(completion("", tool_calls=[CALL]))
    if fault == "exception":
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
    if fault == "timeout":
        await asyncio.sleep(HELD_S)
    if fault == "HTTP_500":
        return web.json_response({"error": {"message": "down"}}, status=500)
    if fault == "slow_stream":
        return await _dripped(request)
    if request.path.endswith("/check"):
        return web.json_response({"jailbreak": "perhaps"})
    return web.json_response(completion("?! forty-two"))


async def _answered(request: web.Request, *, streaming: bool) -> web.StreamResponse:
    if not streaming:
        return web.json_response(completion(ANSWER))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for word in ANSWER.split(" "):
        data = json.dumps({"choices": [{"delta": {"content": f"{word} "}}]})
        await response.write(f"data: {data}\n\n".encode())
    await response.write(b"data: [DONE]\n\n")
    return response


async def _dripped(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for byte in json.dumps(completion("No", padding="x" * 500)).encode():
        await response.write(bytes([byte]))
        await asyncio.sleep(HELD_S / 500)
    return response


@contextmanager
def faulty_server() -> Iterator[str]:
    """The address of a server that runs in a thread of its own, so that no test's event loop owns it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = serving(handle, "/{fault}/{rest:.*}", "POST")
    address = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(10)
    try:
        yield address
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
