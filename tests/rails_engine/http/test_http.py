"""Calls to other services: over a real socket, tried again, and recorded."""

from __future__ import annotations

import asyncio
import string
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nemoguardrails.http import (
    HTTPConnectionError,
    HTTPResponse,
    HTTPResponseDecodeError,
    HTTPStatusError,
    HTTPTimeoutError,
    HttpxHTTPClient,
    InstrumentedHTTPClient,
    RetryingHTTPClient,
    RetryPolicy,
    create_http_client,
    http_call,
    instrument_http_client,
)
from nemoguardrails.testing import RecordingHTTPClient
from rails_engine.http import ClosableHTTPClient, HTTPRequest, HTTPTLSConfig
from rails_engine.http.redirects import followed, origin_of, tls_for
from tests.loopback import serving


async def echo(request: web.Request) -> web.Response:
    if request.path == "/slow":
        await asyncio.sleep(5)
    if request.path == "/gone":
        return web.json_response({"why": "gone"}, status=410)
    if request.path == "/moved":
        raise web.HTTPFound("/echo")
    body = {"method": request.method, "query": dict(request.query), "body": await request.text()}
    return web.json_response(body, headers={"X-Seen": request.headers.get("X-Sent", "")})


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with serving(echo) as url:
        yield url


async def test_a_request_and_its_answer(address: str) -> None:
    client = create_http_client()
    answer = await client.request(
        "POST", f"{address}/echo", json={"a": 1}, params={"q": "x"}, headers={"X-Sent": "yes"}
    )
    assert (answer.status_code, answer.is_success, answer.headers["x-seen"]) == (200, True, "yes")
    assert answer.json() == {"method": "POST", "query": {"q": "x"}, "body": '{"a": 1}'}
    assert (await client.request("PUT", f"{address}/echo", content="plain")).json()["body"] == "plain"
    assert (await client.request("GET", f"{address}/moved")).status_code == 302
    await client.close()


async def test_a_call_that_brings_its_own_client(address: str) -> None:
    assert (await http_call(None, "GET", f"{address}/echo")).json()["method"] == "GET"
    with pytest.raises(HTTPStatusError, match=r"GET http.*HTTP 410") as raised:
        await http_call(None, "GET", f"{address}/gone")
    assert raised.value.response.json() == {"why": "gone"}
    assert (await http_call(None, "GET", f"{address}/gone", raise_for_status=False)).status_code == 410


async def test_what_can_go_wrong_is_told_apart(address: str) -> None:
    with pytest.raises(HTTPTimeoutError, match=r"within 0\.1 s"):
        await http_call(None, "GET", f"{address}/slow", timeout=0.1)
    with pytest.raises(HTTPConnectionError, match=r"127\.0\.0\.1:9"):
        await http_call(None, "GET", "http://127.0.0.1:9/")
    with pytest.raises(HTTPResponseDecodeError, match="no JSON: b'<html>'"):
        HTTPResponse(200, content=b"<html>").json()


def retrying(
    *answers: HTTPResponse | BaseException, policy: RetryPolicy | None = None
) -> tuple[RetryingHTTPClient, RecordingHTTPClient, list[float]]:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    inner = RecordingHTTPClient(answers)
    full: Callable[[], float] = lambda: 1.0  # noqa: E731 -- no jitter
    return RetryingHTTPClient(inner, policy, sleep=sleep, random_value=full), inner, waits


async def test_what_passes_is_tried_again_with_growing_waits() -> None:
    client, inner, waits = retrying(HTTPResponse(503), HTTPConnectionError("x"), HTTPResponse(200))
    assert (await client.request("GET", "u")).status_code == 200
    assert (len(inner.requests), waits) == (3, [0.5, 1.0])


async def test_the_last_answer_stands() -> None:
    client, inner, _ = retrying(*[HTTPResponse(500)] * 3)
    assert (await client.request("GET", "u")).status_code == 500
    assert len(inner.requests) == 3


@pytest.mark.parametrize(("method", "status"), [("POST", 503), ("GET", 404)])
async def test_what_may_have_happened_or_will_not_change_is_not_tried_again(method: str, status: int) -> None:
    client, inner, _ = retrying(HTTPResponse(status))
    assert (await client.request(method, "u")).status_code == status
    assert len(inner.requests) == 1


@pytest.mark.parametrize(
    ("asked", "clamp", "waited"), [("7", False, [7.0]), ("100", False, []), ("100", True, [60.0])]
)
async def test_a_server_says_when_to_come_back(asked: str, clamp: bool, waited: list[float]) -> None:
    busy = HTTPResponse(429, {"retry-after": asked})
    client, _, waits = retrying(busy, HTTPResponse(200), policy=RetryPolicy(clamp_retry_after=clamp))
    assert (await client.request("GET", "u")).status_code == (200 if waited else 429)
    assert waits == waited


def test_a_server_may_say_it_as_a_date() -> None:
    now = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
    later = HTTPResponse(503, {"retry-after": "Thu, 01 Jan 2026 12:00:30 GMT"})
    assert RetryPolicy().retry_after(later, now=now) == 30
    assert RetryPolicy().retry_after(HTTPResponse(503, {"retry-after": "soon"}), now=now) is None


# --- redirects ---------------------------------------------------------------------------------------------------------


async def hop(request: web.Request) -> web.Response:
    target = request.query.get("to")
    if target == "ring":
        raise web.HTTPFound("/?status=302&to=ring")
    if target:
        return web.Response(status=int(request.query["status"]), headers={"Location": target})
    seen = {
        "method": request.method,
        "body": await request.text(),
        "key": request.headers.get("Authorization"),
        "secrets": sorted(
            name.lower() for name in request.headers if name.lower() in map(str.lower, SECRETS)
        ),
        "accept": request.headers.get("Accept"),
        "type": request.headers.get("Content-Type"),
    }
    return web.json_response(seen)


@pytest.fixture
async def hops() -> AsyncIterator[list[str]]:
    async with serving(hop) as one, serving(hop) as other:
        yield [f"{one}/", f"{other}/"]


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(302, "GET", ""), (303, "GET", ""), (307, "POST", "data"), (308, "POST", "data")],
)
async def test_redirects_are_followed_where_asked(
    hops: list[str], status: int, method: str, body: str
) -> None:
    client = create_http_client(follow_redirects=True)
    params = {"status": status, "to": "/"}
    answer = await client.request(
        "POST", hops[0], params=params, content="data", headers={"Authorization": "k"}
    )
    seen = answer.json()
    assert (seen["method"], seen["body"], seen["key"]) == (method, body, "k")
    await client.close()


SECRETS = {
    "Authorization": "k",
    "Cookie": "k",
    "Proxy-Authorization": "k",
    "X-Goog-Api-Key": "k",
    "api-key": "k",
    "X-Api-Key": "k",
    "ocp-apim-subscription-key": "k",
    "X-Made-Up-By-A-Service": "k",
}


def following(kind: str) -> ClosableHTTPClient:
    return (
        HttpxHTTPClient(follow_redirects=True)
        if kind == "httpx"
        else create_http_client(follow_redirects=True)
    )


@pytest.mark.parametrize("kind", ["ours", "httpx"])
async def test_a_redirect_takes_no_key_to_another_server(hops: list[str], kind: str) -> None:
    client = following(kind)
    params = {"status": 307, "to": hops[1]}
    headers = {**SECRETS, "Accept": "text/plain", "Content-Type": "text/csv"}
    answer = await client.request("POST", hops[0], params=params, content="d", headers=headers)
    seen = answer.json()
    assert (seen["method"], seen["body"], seen["secrets"]) == ("POST", "d", [])
    assert (seen["accept"], seen["type"]) == ("text/plain", "text/csv")
    await client.close()


@pytest.mark.parametrize("kind", ["ours", "httpx"])
async def test_a_key_does_not_come_back_by_way_of_another_server(hops: list[str], kind: str) -> None:
    client = following(kind)
    there = f"{hops[1]}?{urlencode({'status': 307, 'to': hops[0]})}"
    answer = await client.request("GET", hops[0], params={"status": 302, "to": there}, headers=SECRETS)
    assert answer.json()["secrets"] == []
    await client.close()


@pytest.mark.parametrize("kind", ["ours", "httpx"])
async def test_a_redirect_on_the_same_server_keeps_the_keys(hops: list[str], kind: str) -> None:
    client = following(kind)
    answer = await client.request("GET", hops[0], params={"status": 302, "to": hops[0]}, headers=SECRETS)
    assert answer.json()["secrets"] == sorted(name.lower() for name in SECRETS)
    await client.close()


@given(
    st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=20),
    st.sampled_from([301, 302, 303, 307, 308]),
)
async def test_no_header_but_those_of_the_body_and_the_answer_goes_to_another_server(
    name: str, status: int
) -> None:
    asked: list[HTTPRequest] = []

    async def server(ask: HTTPRequest) -> HTTPResponse:
        asked.append(ask)
        return HTTPResponse(status, {"location": "https://two/"}) if len(asked) == 1 else HTTPResponse(200)

    await followed(HTTPRequest("GET", "https://one/", {name: "k"}), server)
    described = {
        "accept",
        "accept-encoding",
        "accept-language",
        "user-agent",
        "content-type",
        "content-length",
        "content-encoding",
    }
    assert set(map(str.lower, asked[1].headers or {})) <= described


async def test_what_was_encrypted_is_not_sent_on_in_the_clear() -> None:
    async def server(ask: HTTPRequest) -> HTTPResponse:
        return HTTPResponse(307, {"location": "http://one/"})

    with pytest.raises(HTTPConnectionError, match="from https to http"):
        await followed(HTTPRequest("POST", "https://one/", content="d"), server)


def test_our_own_certificate_is_for_the_first_server_alone() -> None:
    own = HTTPTLSConfig(ca_bundle="ca.pem", client_certificate="c.pem", client_key="k.pem")
    first = origin_of("https://one/a")
    assert tls_for(origin_of("https://one:443/b"), first, own) is own
    assert tls_for(origin_of("https://two/"), first, own) == HTTPTLSConfig(ca_bundle="ca.pem")


async def test_redirects_in_a_ring_end(hops: list[str]) -> None:
    client = create_http_client(follow_redirects=True)
    with pytest.raises(HTTPConnectionError, match="more than 10 redirects"):
        await client.request("GET", hops[0], params={"status": 302, "to": "?status=302&to=ring", "ring": 1})
    await client.close()


async def test_a_head_request_brings_no_body(hops: list[str]) -> None:
    client = create_http_client()
    for _ in range(2):
        answer = await client.request("HEAD", hops[0])
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (
            200,
            b"",
            "application/json; charset=utf-8",
        )
    await client.close()


# --- clients of other kinds --------------------------------------------------------------------------------------------


async def test_a_client_of_the_callers_own_over_httpx_sends_what_it_always_sends(address: str) -> None:
    async with httpx.AsyncClient(headers={"X-Sent": "always"}) as theirs:
        client = create_http_client(httpx_client=theirs)
        answer = await client.request("POST", f"{address}/echo", json={"a": 1}, params={"q": "x"})
        assert (answer.status_code, answer.headers["x-seen"], answer.json()["query"]) == (
            200,
            "always",
            {"q": "x"},
        )
        with pytest.raises(HTTPTimeoutError):
            await client.request("GET", f"{address}/slow", timeout=0.1)
        with pytest.raises(HTTPConnectionError):
            await client.request("GET", "http://127.0.0.1:9/")
        await client.close()
        assert not theirs.is_closed
    own = HttpxHTTPClient(follow_redirects=True)
    assert (await own.request("GET", f"{address}/moved")).json()["method"] == "GET"
    await own.close()


async def test_a_server_may_override_which_statuses_are_tried_again() -> None:
    policy = RetryPolicy(honor_retry_override_header=True)
    final = HTTPResponse(503, {"x-should-retry": "false"})
    again = HTTPResponse(404, {"x-should-retry": "true"})
    client, inner, _ = retrying(final, policy=policy)
    assert (await client.request("GET", "u"), len(inner.requests)) == (final, 1)
    client, inner, _ = retrying(again, HTTPResponse(200), policy=policy)
    assert ((await client.request("GET", "u")).status_code, len(inner.requests)) == (200, 2)


async def test_requests_are_told_of_without_their_secrets() -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    inner = RecordingHTTPClient([HTTPResponse(200), HTTPResponse(503), HTTPTimeoutError("late")])
    client = instrument_http_client(inner, tracer=provider.get_tracer("t"))
    url = "https://me:password@api.example:8443/v1/x?key=secret"
    for _ in range(2):
        await client.request("POST", url)
    with pytest.raises(HTTPTimeoutError):
        await client.request("POST", url)
    told = [dict(span.attributes or {}) for span in spans.get_finished_spans()]
    assert [(one.get("http.response.status_code"), one.get("error.type")) for one in told] == [
        (200, None),
        (503, "503"),
        (None, "HTTPTimeoutError"),
    ]
    assert (told[0]["server.address"], told[0]["server.port"], told[0]["url.path"]) == (
        "api.example",
        8443,
        "/v1/x",
    )
    assert "secret" not in str(told)
    assert "password" not in str(told)
    assert instrument_http_client(inner) is inner
    assert isinstance(client, InstrumentedHTTPClient)
    assert client.wrapped_client is inner
