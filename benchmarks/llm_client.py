"""What a model call costs on our side, by transport, against an endpoint on this machine that answers at once.

    python benchmarks/llm_client.py [--calls N] [--at-once N]

Printed are the processor time of the client for each call (the endpoint runs in a process of its own) and the calls a
second: through our model object's `generate_async`, by transport, and of what stands below it on `http`: the channel
(a body in, its answer out) and the exchange of bytes alone. The `openai` row is the SDK by itself, called as its
documentation shows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.connection import Connection

from rails_engine.config import Model
from rails_engine.http import Exchange, Pool, RequestLine, Terms
from rails_engine.llm import ChatMessage, Endpoint, create_models, public_model
from rails_engine.llm.http import HttpTransport

ANSWER = {
    "id": "r",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}


def serve(port: Connection) -> None:
    """An endpoint that answers every request alike, in as few steps as possible."""
    body = json.dumps(ANSWER).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(request.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                writer.write(head + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def measured(call: Callable[[], Awaitable[object]], calls: int, at_once: int) -> str:
    await asyncio.gather(*(call() for _ in range(at_once)))
    left = calls

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await call()

    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    spent, taken = time.process_time() - cpu, time.perf_counter() - wall
    return f"{spent / calls * 1e3:8.3f} ms of processor a call {calls / taken:8.0f} calls/s"


async def compare(url: str, calls: int, at_once: int) -> None:
    said = [ChatMessage.from_user("hi")]
    for transport in ("http", "sdk"):
        parameters = {"base_url": url, "api_key": "k", "transport": transport}
        models = create_models([Model(type="main", engine="openai", model="m", parameters=parameters)])
        model = public_model(models["main"])
        result = await measured(partial(model.generate_async, said), calls, at_once)
        print(f"{transport:>10}: {result}")
        await models.close()
    await below(url, calls, at_once)
    await sdk_alone(url, calls, at_once)


async def below(url: str, calls: int, at_once: int) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    transport = HttpTransport()
    channel = transport.channel(Endpoint("openai", "m", url, "k"))
    print(f"{'channel':>10}: {await measured(partial(channel.answer, body, 60.0), calls, at_once)}")
    await transport.close()
    pool, content, terms = Pool(), json.dumps(body).encode(), Terms(total_s=60)
    line = RequestLine.of("POST", f"{url}/chat/completions", {"Content-Type": "application/json"})

    async def exchange() -> bytes:
        async with Exchange(pool, line, content, terms) as answer:
            return await answer.read()

    print(f"{'exchange':>10}: {await measured(exchange, calls, at_once)}")
    await pool.close()


async def sdk_alone(url: str, calls: int, at_once: int) -> None:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key="k", max_retries=0) as client:
        result = await measured(
            lambda: client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}]),
            calls,
            at_once,
        )
    print(f"{'openai':>10}: {result}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/v1"
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{options.calls} calls, {options.at_once} at once"
    )
    asyncio.run(compare(url, options.calls, options.at_once))
    server.terminate()


if __name__ == "__main__":
    main()
