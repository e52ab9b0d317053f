"""An actions server behind `actions_server_url`: a real one, over HTTP, in both dialects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from rails_engine.actions import ActionsServer
from rails_engine.errors import ActionNotFoundError, ActionServerError, ActionTimeoutError
from tests.loopback import serving

ONE = """
define user ask
  "ask"
define bot tell
  "it is $x"
define flow
  user ask
  $x = execute price(of="tea", count=2)
  bot tell
"""
TWO = """
import core
flow main
  user said "ask"
  $x = await PriceAction(of="tea")
  bot say "it is {$x}"
"""
RAIL = """
define subflow judge
  $fine = execute look(text=$user_message)
  if not $fine
    bot refuse
    stop
define bot refuse
  "refused"
"""


class Server:
    """Answers as it was told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.result: Any = None
        self.answer: web.Response | None = None
        self.delay_s = 0.0
        self.url = ""

    async def run(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        await asyncio.sleep(self.delay_s)
        return self.answer or web.json_response({"status": "success", "result": self.result})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    async with serving(made.run, "/v1/actions/run", "POST") as made.url:
        yield made


async def said(app: LLMRails, text: str = "ask") -> str:
    answer = await app.generate_async(messages=[{"role": "user", "content": text}])
    await app.aclose()
    return answer["content"]  # type: ignore[index, return-value]


def rails(colang: str, server: Server, *answers: str, **config: Any) -> LLMRails:
    content = {"models": [], "actions_server_url": server.url, **config}
    return LLMRails(
        RailsConfig.from_content(colang, config=content), llm=FakeLLMModel(responses=list(answers))
    )


async def test_the_server_runs_what_is_registered_nowhere_else(server: Server) -> None:
    server.result = {"euros": 4}
    assert await said(rails(ONE, server, "ask")) == "it is {'euros': 4}"
    assert server.asked == [{"action_name": "price", "action_parameters": {"of": "tea", "count": 2}}]


async def test_with_a_server_it_runs_registered_actions_too_but_not_those_of_the_system(
    server: Server,
) -> None:
    server.result = "remote"
    app = rails(ONE, server, "ask")
    app.register_action(lambda of, count: "here", "price")
    assert await said(app) == "it is remote"


async def test_two_x_asks_the_server_for_registered_actions_and_leaves_others_to_the_caller(
    server: Server,
) -> None:
    server.result = 5
    config = {"colang_version": "2.x"}
    app = rails(TWO, server, **config)
    app.register_action(lambda of: of, "price")
    assert await said(app) == "it is 5"
    answer = await rails(TWO, server, **config).generate_async(messages=[{"role": "user", "content": "ask"}])
    assert answer["tool_calls"][0]["function"]["name"] == "PriceAction"  # type: ignore[index, call-overload]
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (
            web.json_response({"status": "failed", "result": None}),
            "I'm sorry, an internal error has occurred.",
        ),
        (web.json_response({"detail": "boom"}, status=500), "I'm sorry, an internal error has occurred."),
        (web.Response(text="<html>"), "I'm sorry, an internal error has occurred."),
        (web.json_response({"detail": "unknown"}, status=404), "Action 'price' not found."),
    ],
    ids=["failed", "500", "no JSON", "404"],
)
async def test_a_server_that_fails_fails_the_action(server: Server, answer: web.Response, heard: str) -> None:
    server.answer = answer
    assert await said(rails(ONE, server, "ask")) == heard


@pytest.mark.parametrize(
    ("fails", "on_error", "heard"), [(False, "block", "refused"), (True, "allow", "answer")]
)
async def test_a_rail_on_the_server_is_held_to_its_policy(
    server: Server, fails: bool, on_error: str, heard: str
) -> None:
    server.result = False
    if fails:
        server.answer = web.json_response({}, status=500)
    section = {"input": {"flows": ["judge"], "on_error": on_error}}
    assert await said(rails(RAIL, server, "answer", rails=section), "x") == heard


async def test_a_rail_on_a_slow_server_blocks_in_time(server: Server) -> None:
    server.result, server.delay_s = True, 5
    section = {"input": {"flows": ["judge"], "timeout_s": 0.2}}
    assert await said(rails(RAIL, server, "answer", rails=section), "x") != "answer"


async def test_what_a_server_may_answer(server: Server) -> None:
    client = ActionsServer(server.url + "/")
    for result in (None, 5, "x", [1], {"a": {"b": 1}}):
        server.result = result
        assert await client.run("echo", {}) == result
    server.answer = web.json_response({}, status=404)
    with pytest.raises(ActionNotFoundError, match="'echo' not found at http"):
        await client.run("echo", {})
    server.answer = web.Response(body=json.dumps({"status": "success", "result": "x" * (17 << 20)}).encode())
    with pytest.raises(ActionServerError, match="more than 16 MiB"):
        await client.run("echo", {})
    server.answer, server.delay_s = None, 5
    with pytest.raises(ActionTimeoutError, match="no answer from http"):
        await client.run("echo", {}, timeout_s=0.1)
    await client.close()


def test_a_server_serves_several_loops() -> None:
    """The synchronous calls run on a loop of their own; a connection belongs to one loop."""
    client = ActionsServer("http://127.0.0.1:9")

    async def once() -> None:
        with pytest.raises(ActionServerError, match="cannot be reached"):
            await client.run("echo", {})

    asyncio.run(once())
    asyncio.run(once())
    asyncio.run(client.close())
