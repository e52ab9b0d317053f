"""Each remote engine, as a configuration names it, against a server that refuses what the real one refuses."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pytest
from aiohttp import web

from rails_engine.config import RailsConfig
from rails_engine.retrieval import (
    EmbeddingConfigError,
    EmbeddingKind,
    EmbeddingRemoteError,
    RetrievalSetup,
    rest,
)
from tests.loopback import serving
from tests.rails_engine.retrieval.doubles import word_vector

Body: TypeAlias = Mapping[str, Any]
TEXTS = [f"text number {i}" for i in range(230)] + [""]


class RefusedError(Exception):
    """The request is not as the service documents it."""


def require(holds: object, what: str) -> None:
    if not holds:
        raise RefusedError(what)


def openai_reply(body: Body) -> Any:
    texts = body["input"]
    require(0 < len(texts) <= 2048 and all(texts), "input: 1 to 2048 texts, none empty")
    require(
        set(body) <= {"model", "input", "encoding_format", "dimensions", "user"}, f"unknown: {sorted(body)}"
    )
    return {"object": "list", "model": body["model"], "data": _entries(texts, body.get("encoding_format"))}


def nvidia_reply(body: Body) -> Any:
    require(body.get("input_type") in ("query", "passage"), "input_type is query or passage")
    require(body.get("truncate") in ("NONE", "START", "END"), "truncate")
    require(all(body["input"]), "input: no empty text")
    return {
        "object": "list",
        "model": body["model"],
        "data": _entries(body["input"], body.get("encoding_format")),
    }


def cohere_reply(body: Body) -> Any:
    require(body.get("input_type") in ("search_query", "search_document"), "input_type")
    require(0 < len(body["texts"]) <= 96 and all(body["texts"]), "texts: 1 to 96, none empty")
    require(body.get("embedding_types") == ["float"], "embedding_types")
    return {"id": "1", "embeddings": {"float": [word_vector(text).tolist() for text in body["texts"]]}}


def google_reply(body: Body) -> Any:
    requests = body["requests"]
    require(len(requests) <= 100, "at most 100 requests")
    require(all(one["model"] == "models/m" for one in requests), "model of each request")
    require(all(one["taskType"] in ("RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT") for one in requests), "taskType")
    texts = [one["content"]["parts"][0]["text"] for one in requests]
    require(all(texts), "empty text")
    return {"embeddings": [{"values": word_vector(text).tolist()} for text in texts]}


def _entries(texts: list[str], encoding: str | None) -> list[dict[str, Any]]:
    entries = []
    for index, text in enumerate(texts):
        vector: Any = word_vector(text).tolist()
        if encoding == "base64":
            vector = base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()
        entries.append({"object": "embedding", "index": index, "embedding": vector})
    return entries[::-1]


@dataclass(frozen=True)
class Api:
    """A service: the configuration that leads to it, where it listens, how it knows its callers, what it says."""

    engine: str
    parameters: Mapping[str, Any]
    path: str
    key: tuple[str, str]
    reply: Callable[[Body], Any]
    requests: int = 2


APIS = [
    Api("openai", {"base_url": "$/v1"}, "/v1/embeddings", ("Authorization", "Bearer k"), openai_reply),
    Api("nim", {"base_url": "$/v1"}, "/v1/embeddings", ("Authorization", "Bearer k"), nvidia_reply),
    Api(
        "nvidia_ai_endpoints",
        {"base_url": "$/v1"},
        "/v1/embeddings",
        ("Authorization", "Bearer k"),
        nvidia_reply,
    ),
    Api(
        "AzureOpenAI",
        {"azure_endpoint": "$", "api_version": "2024-10-21"},
        "/openai/deployments/m/embeddings?api-version=2024-10-21",
        ("api-key", "k"),
        openai_reply,
    ),
    Api("cohere", {"base_url": "$"}, "/v2/embed", ("Authorization", "Bearer k"), cohere_reply, 3),
    Api(
        "google", {"base_url": "$"}, "/models/m:batchEmbedContents", ("x-goog-api-key", "k"), google_reply, 3
    ),
]
each_api = pytest.mark.parametrize("api", APIS, ids=lambda api: api.engine)


@dataclass
class Service:
    """What is listening: answers as the API does, after the `failures` (status and headers) are used up."""

    api: Api | None = None
    address: str = ""
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    mangle: Callable[[Any], Any] | None = None

    async def answer(self, request: web.Request) -> web.Response:
        assert self.api is not None
        body = await request.json()
        self.bodies.append(body)
        if self.failures:
            status, headers = self.failures.pop(0)
            return web.json_response({"error": {"message": "later"}}, status=status, headers=headers)
        name, value = self.api.key
        if request.headers.get(name) != value:
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        if request.path_qs != self.api.path:
            return web.json_response({"error": {"message": f"no {request.path_qs}"}}, status=404)
        try:
            reply = self.api.reply(body)
            return web.json_response(self.mangle(reply) if self.mangle else reply)
        except (RefusedError, KeyError) as error:
            return web.json_response({"error": {"message": f"bad request: {error}"}}, status=400)


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(rest, "FIRST_WAIT_S", 0.0)
    listening = Service()
    async with serving(listening.answer, method="POST") as listening.address:
        yield listening


async def embed(service: Service, api: Api, texts: list[str], kind: EmbeddingKind, key: str = "k") -> Any:
    service.api = api
    parameters = {
        name: value.replace("$", service.address) if isinstance(value, str) else value
        for name, value in api.parameters.items()
    }
    model = {
        "type": "embeddings",
        "engine": api.engine,
        "model": "m",
        "parameters": parameters | {"api_key": key},
    }
    setup = RetrievalSetup(RailsConfig.from_content(config={"models": [model]}))
    try:
        return await setup.embedder().embed(texts, kind)
    finally:
        await setup.aclose()


@each_api
@pytest.mark.parametrize("kind", list(EmbeddingKind))
async def test_many_texts_come_back_in_their_order(service: Service, api: Api, kind: EmbeddingKind) -> None:
    vectors = await embed(service, api, TEXTS, kind)
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(np.stack([word_vector(text or " ") for text in TEXTS]), abs=1e-6)
    assert len(service.bodies) == api.requests


@each_api
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_passes_is_tried_again(service: Service, api: Api, status: int) -> None:
    service.failures = [(status, {"Retry-After": "0", "retry-after-ms": "1"})]
    assert (await embed(service, api, ["a"], EmbeddingKind.QUERY)).shape == (1, 64)
    assert len(service.bodies) == 2


@each_api
async def test_a_refused_key_is_the_configurations_fault_and_not_tried_again(
    service: Service, api: Api
) -> None:
    with pytest.raises(EmbeddingConfigError, match="the key was refused"):
        await embed(service, api, ["a"], EmbeddingKind.QUERY, key="stolen")
    assert len(service.bodies) == 1


@each_api
async def test_a_refused_request_says_what_the_service_says(service: Service, api: Api) -> None:
    service.failures = [(400, {})]
    with pytest.raises(EmbeddingRemoteError, match=r"HTTP 400.*later") as raised:
        await embed(service, api, ["a"], EmbeddingKind.QUERY)
    assert raised.value.status == 400
    assert len(service.bodies) == 1


def shortened(reply: Any) -> Any:
    """A reply in which the last vector lacks a number."""
    if "data" in reply:
        vector = reply["data"][0]["embedding"]
        raw = base64.b64decode(vector) if isinstance(vector, str) else None
        reply["data"][0]["embedding"] = vector[:-1] if raw is None else base64.b64encode(raw[:-4]).decode()
    elif isinstance(reply["embeddings"], dict):
        reply["embeddings"]["float"][-1].pop()
    else:
        reply["embeddings"][-1]["values"].pop()
    return reply


@each_api
async def test_vectors_of_unequal_length_are_not_taken(service: Service, api: Api) -> None:
    service.mangle = shortened
    with pytest.raises(EmbeddingRemoteError, match="unequal length"):
        await embed(service, api, ["a", "b"], EmbeddingKind.PASSAGE)
