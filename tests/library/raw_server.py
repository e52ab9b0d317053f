"""A model server that answers byte for byte what it was told to, whatever it is asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.library.fault_table import ANSWER
from tests.library.faulty_server import completion


def answered(body: bytes, status: str = "200 OK", *headers: str, kind: str = "application/json") -> bytes:
    """A whole HTTP answer."""
    known = ("Connection: close", f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    fields = [f"HTTP/1.1 {status}", *known, *headers]
    return "\r\n".join(fields).encode() + b"\r\n\r\n" + body


def _streamed(text: str) -> bytes:
    words = [{"choices": [{"delta": {"content": f"{word} "}}]} for word in text.split(" ")]
    events = [f"data: {json.dumps(word)}\n\n" for word in words]
    return answered("".join([*events, "data: [DONE]\n\n"]).encode(), kind="text/event-stream")


class RawServer:
    """Paths that begin with `/fine` get the main model's answer, all others `answer`; then it hangs up."""

    def __init__(self) -> None:
        self.url = ""
        self.answer = b""
        self.asked = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = head.partition("content-length:")[2].split("\r\n")[0]
            body: dict[str, Any] = json.loads(await reader.readexactly(int(length)))
            if " /fine/" in head:
                plain = answered(json.dumps(completion(ANSWER)).encode())
                writer.write(_streamed(ANSWER) if body.get("stream") else plain)
            else:
                self.asked += 1
                writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@contextmanager
def raw_server() -> Iterator[RawServer]:
    """A server in a thread of its own."""
    server, loop = RawServer(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    opening = asyncio.start_server(server.handle, "127.0.0.1", 0)
    listening = asyncio.run_coroutine_threadsafe(opening, loop).result(10)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
