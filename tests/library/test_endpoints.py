"""JSON calls of rails to an endpoint, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from rails_engine.library.actions import EndpointError, post_json
from tests.library.fronts import guarded, said
from tests.loopback import serving

ANSWERS = {
    "/refused": web.Response(status=403, text="no key"),
    "/moved": web.Response(status=307, headers={"Location": "/fine"}),
    "/text": web.Response(text="<html>"),
    "/list": web.json_response([1]),
    "/long": web.Response(body=b" " * (5 << 20)),
}


async def answer(request: web.Request) -> web.Response:
    if request.path == "/fine":
        return web.json_response({"body": await request.json(), "key": request.headers["X-Key"]})
    return ANSWERS[request.path]


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with serving(answer, "/{path}", "POST") as url:
        yield url


async def test_a_body_goes_out_and_an_object_comes_back(address: str) -> None:
    assert await post_json(None, f"{address}/fine", {"a": 1}, {"X-Key": "k"}) == {
        "body": {"a": 1},
        "key": "k",
    }


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/refused", "HTTP 403: b'no key'"),
        ("/moved", "HTTP 307"),
        ("/text", "the answer is no JSON: b'<html>'"),
        ("/list", "the answer is no JSON object"),
        ("/long", "more than 4 MiB"),
    ],
)
async def test_what_is_no_verdict_names_the_endpoint(address: str, path: str, told: str) -> None:
    with pytest.raises(EndpointError, match=told) as caught:
        await post_json(None, f"{address}{path}", {}, {"X-Key": "k"})
    assert f"{address}{path}" in str(caught.value)


async def test_the_turns_of_a_configuration_share_a_connection() -> None:
    connections: set[object] = set()

    async def judge(request: web.Request) -> web.Response:
        connections.add(request.transport)
        return web.json_response({"jailbreak": False})

    async with serving(judge, "/classify", "POST") as url:
        nim = f"config: {{jailbreak_detection: {{nim_base_url: '{url}'}}}}"
        rails = guarded("1.0", f"input: {{flows: [jailbreak detection model]}}, {nim}")
        assert [await said(rails, text) for text in ("one", "two", "three")] == ["fine"] * 3
        assert len(connections) == 1
        await rails.aclose()
