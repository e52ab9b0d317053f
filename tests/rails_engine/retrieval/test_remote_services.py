"""Cohere, Google and NVIDIA's ranking, in the shapes that they document, against a server on the loopback."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rails_engine.retrieval import EmbeddingConfigError, EmbeddingKind, EmbeddingRemoteError, rest
from rails_engine.retrieval.embedding import embedder_for
from rails_engine.retrieval.rerankers import NvidiaReranker
from rails_engine.retrieval.rest import Service
from tests.rails_engine.retrieval.doubles import EmbeddingServer

QUERY, PASSAGE = EmbeddingKind.QUERY, EmbeddingKind.PASSAGE


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "FIRST_WAIT_S", 0.0)


def root(server: EmbeddingServer) -> str:
    return server.base_url.removesuffix("/v1")


async def test_cohere_is_told_what_the_texts_are(server: EmbeddingServer) -> None:
    server.reply = {"embeddings": {"float": [[3.0, 4.0], [0.0, 2.0]]}}
    embedder = embedder_for("cohere", "embed-v4.0", {"api_key": "k", "base_url": root(server)})
    assert (await embedder.embed(["a", ""], QUERY)).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0, 1],
    ]
    assert server.paths == ["/v2/embed"]
    assert server.headers[0]["Authorization"] == "Bearer k"
    assert server.requests[0] == {
        "model": "embed-v4.0",
        "texts": ["a", " "],
        "input_type": "search_query",
        "embedding_types": ["float"],
    }
    await embedder.embed(["a", "b"], PASSAGE)
    assert server.requests[1]["input_type"] == "search_document"


async def test_google_is_asked_in_batches(server: EmbeddingServer) -> None:
    server.reply = {"embeddings": [{"values": [1.0, 0.0]}]}
    embedder = embedder_for("google", "gemini-embedding-001", {"api_key": "k", "base_url": root(server)})
    await embedder.embed(["a"], PASSAGE)
    assert server.paths == ["/models/gemini-embedding-001:batchEmbedContents"]
    assert server.headers[0]["x-goog-api-key"] == "k"
    assert server.requests[0]["requests"] == [
        {
            "model": "models/gemini-embedding-001",
            "content": {"parts": [{"text": "a"}]},
            "taskType": "RETRIEVAL_DOCUMENT",
        }
    ]


@pytest.mark.parametrize(("engine", "variable"), [("cohere", "COHERE_API_KEY"), ("google", "GOOGLE_API_KEY")])
def test_a_missing_key_names_the_variable(
    engine: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COHERE_API_KEY", "CO_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EmbeddingConfigError, match=variable):
        embedder_for(engine, "m", {})


@pytest.mark.parametrize("reply", [{"embeddings": []}, {}, [1], {"embeddings": {"float": [[1.0], [2.0]]}}])
async def test_nonsense_is_a_clear_error(server: EmbeddingServer, reply: Any) -> None:
    server.reply = reply
    embedder = embedder_for("cohere", "m", {"api_key": "k", "base_url": root(server)})
    with pytest.raises(EmbeddingRemoteError, match="cohere#m"):
        await embedder.embed(["a"], QUERY)


async def test_a_passing_failure_is_tried_again(server: EmbeddingServer) -> None:
    server.failures = [503, 429]
    server.reply = {"embeddings": {"float": [[1.0, 0.0]]}}
    embedder = embedder_for("cohere", "m", {"api_key": "k", "base_url": root(server)})
    assert (await embedder.embed(["a"], QUERY)).shape == (1, 2)
    assert len(server.requests) == 3


async def test_a_lasting_failure_and_a_refused_key_are_told_apart(server: EmbeddingServer) -> None:
    embedder = embedder_for("cohere", "m", {"api_key": "k", "base_url": root(server), "max_retries": 1})
    server.failures = [500, 500]
    with pytest.raises(EmbeddingRemoteError, match="HTTP 500"):
        await embedder.embed(["a"], QUERY)
    server.failures = [403]
    with pytest.raises(EmbeddingConfigError, match="the key was refused"):
        await embedder.embed(["a"], QUERY)


async def test_a_reply_beyond_the_bound_is_refused_at_once(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "MAX_REPLY_BYTES", 1 << 20)
    server.reply = {"embeddings": {"float": [[0.5] * (1 << 19)]}}
    embedder = embedder_for("cohere", "m", {"api_key": "k", "base_url": root(server)})
    with pytest.raises(EmbeddingRemoteError, match="the reply is larger than 1 MiB"):
        await embedder.embed(["a"], QUERY)
    assert len(server.requests) == 1


async def test_without_a_network_the_offline_choices_are_named() -> None:
    embedder = embedder_for("cohere", "m", {"api_key": "k", "base_url": "http://127.0.0.1:9"})
    with pytest.raises(
        EmbeddingRemoteError, match=r"cannot be reached.*built-in offline embedder.*engine: local"
    ):
        await embedder.embed(["a"], QUERY)


async def test_a_service_that_asks_for_a_day_is_asked_again_after_the_longest_wait(
    server: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "LONGEST_WAIT_S", 0.01)
    server.failures, server.failure_headers = [429], {"Retry-After": "86400"}
    server.reply = {"embeddings": {"float": [[1.0, 0.0]]}}
    embedder = embedder_for("cohere", "m", {"api_key": "k", "base_url": root(server)})
    assert (await embedder.embed(["a"], QUERY)).shape == (1, 2)
    assert len(server.requests) == 2


async def test_ranking_is_asked_and_read_as_nvidia_documents_it(server: EmbeddingServer) -> None:
    server.reply = {"rankings": [{"index": 1, "logit": 4.5}, {"index": 0, "logit": -2.0}]}
    reranker = NvidiaReranker(
        "r", f"{server.base_url}/ranking", Service("reranker", {"Authorization": "Bearer k"})
    )
    assert (await reranker.scores("why", ["a", "b", "c"])).tolist() == [-2.0, 4.5, -np.inf]
    assert server.requests[0] == {
        "model": "r",
        "query": {"text": "why"},
        "passages": [{"text": "a"}, {"text": "b"}, {"text": "c"}],
        "truncate": "END",
    }


@pytest.mark.parametrize(
    "reply", [{}, {"rankings": [{"index": 7, "logit": 1.0}]}, {"rankings": [{"index": 0}]}]
)
async def test_a_ranking_that_is_none_is_a_clear_error(server: EmbeddingServer, reply: Any) -> None:
    server.reply = reply
    with pytest.raises(EmbeddingRemoteError, match="reranker"):
        await NvidiaReranker("r", f"{server.base_url}/ranking", Service("reranker")).scores("q", ["a"])
