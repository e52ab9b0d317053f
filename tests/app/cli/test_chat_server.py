"""The chat with a guardrails server: a real one on this machine, and the real command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from tests.app.cli.command import environment, run_here
from tests.loopback import serving

PATIENCE_S = 60.0


@dataclass
class Server:
    """Repeats what it is told, as a whole or in words; keeps what it was asked. `older` speaks as older servers do."""

    url: str = ""
    older: bool = False
    bodies: list[dict[str, Any]] = field(default_factory=list)

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if body["config_id"] == "cuckoo":
            raise web.HTTPPermanentRedirect("https://nest.example/v1/chat/completions")
        if body["guardrails"]["config_id"] != "parrot":
            error = {"error": {"message": "there is no such configuration", "type": "invalid_request_error"}}
            return web.json_response(error, status=400)
        text = f"you said {body['messages'][-1]['content']}"
        if body["stream"]:
            return await self._stream(request, text)
        message = {"role": "assistant", "content": text}
        answer = {"messages": [message]} if self.older else {"choices": [{"index": 0, "message": message}]}
        return web.json_response(answer)

    async def _stream(self, request: web.Request, text: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        events: list[Any] = [{"choices": [{"index": 0, "delta": {"content": f"{w} "}}]} for w in text.split()]
        if "stop" in text:
            events[2:] = [
                {"error": {"message": "Blocked by the rail `gate`.", "type": "guardrails_violation"}}
            ]
        for event in events:
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def chat_server(*, older: bool = False) -> AsyncIterator[Server]:
    server = Server(older=older)
    async with serving(server.complete, "/v1/chat/completions", "POST") as server.url:
        yield server


async def chat(*arguments: str, stdin: str) -> tuple[str, str]:
    """What the command prints and what it complains of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "nemoguardrails", "chat", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    out, complaints = await asyncio.wait_for(process.communicate(stdin.encode()), PATIENCE_S)
    assert process.returncode == 0
    return out.decode(), complaints.decode()


@pytest.mark.parametrize("older", [False, True])
async def test_a_conversation_with_a_server_grows(older: bool) -> None:
    async with chat_server(older=older) as server:
        out, _ = await chat("--server-url", server.url, "--config-id", "parrot", stdin="one\ntwo\n")
        assert out == "you said one\nyou said two\n"
        assert [len(body["messages"]) for body in server.bodies] == [1, 3]
        assert server.bodies[0]["config_id"] == "parrot"


async def test_a_streamed_answer_ends_with_what_stopped_it() -> None:
    async with chat_server() as server:
        where = ("--server-url", f"{server.url}/", "--config-id", "parrot", "--streaming")
        assert await chat(*where, stdin="one\n") == ("you said one \n", "")
        out, complaints = await chat(*where, stdin="stop\nmore\n")
        assert out == "you said \nyou said more \n"
        assert complaints == "Blocked by the rail `gate`.\n"
        assert len(server.bodies[-1]["messages"]) == 1


@pytest.mark.parametrize("extra", [(), ("--streaming",)])
async def test_a_server_that_refuses_is_quoted_and_one_that_is_not_there_named(
    extra: tuple[str, ...],
) -> None:
    async with chat_server() as server:
        _, complaints = await chat("--server-url", server.url, "--config-id", "owl", *extra, stdin="x\n")
        assert complaints == "The server refused (HTTP 400): there is no such configuration\n"
        _, complaints = await chat("--server-url", server.url, "--config-id", "cuckoo", *extra, stdin="x\n")
        assert complaints == (
            "The server is elsewhere (HTTP 308): https://nest.example/v1/chat/completions\n"
        )
        url = server.url
    _, complaints = await chat("--server-url", url, "--config-id", "parrot", *extra, stdin="x\n")
    assert complaints.startswith(f"No answer from {url}/v1/chat/completions: ")


@pytest.mark.parametrize(
    "arguments",
    [("--server-url", "http://x"), ("--config-id", "c"), ("--server-url", "x:1", "--config-id", "c")],
)
def test_half_an_address_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = run_here("chat", *arguments)
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: --server-url")
