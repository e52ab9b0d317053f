"""OpenAI-compatible endpoints, against a server on the loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from rails_engine.retrieval import (
    EmbeddingConfigError,
    EmbeddingKind,
    EmbeddingRemoteError,
    Endpoint,
    EndpointEmbedder,
)
from tests.rails_engine.retrieval.doubles import EmbeddingServer

Connect: TypeAlias = Callable[..., EndpointEmbedder]


@pytest.fixture
async def connect(server: EmbeddingServer) -> AsyncIterator[Connect]:
    made: list[EndpointEmbedder] = []

    def make(**fields: Any) -> EndpointEmbedder:
        made.append(EndpointEmbedder(Endpoint("m", **{"base_url": server.base_url, "retries": 0} | fields)))
        return made[-1]

    yield make
    for embedder in made:
        await embedder.aclose()


async def test_rows_come_back_in_order_and_of_unit_length(connect: Connect) -> None:
    vectors = await connect().embed(["one", "two three", "one"], EmbeddingKind.PASSAGE)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1])
    assert vectors[0].tolist() == vectors[2].tolist()
    assert vectors[0].tolist() != vectors[1].tolist()


async def test_the_dimension_is_asked_once(server: EmbeddingServer, connect: Connect) -> None:
    embedder = connect()
    assert [await embedder.dimension(), await embedder.dimension()] == [64, 64]
    assert len(server.requests) == 1


async def test_many_texts_go_in_several_requests(server: EmbeddingServer, connect: Connect) -> None:
    vectors = await connect(batch_size=4).embed([f"word{i}" for i in range(10)], EmbeddingKind.QUERY)
    assert vectors.shape == (10, 64)
    assert [len(request["input"]) for request in server.requests] == [4, 4, 2]


@pytest.mark.parametrize("kind", list(EmbeddingKind))
async def test_asymmetric_models_are_told_what_the_text_is(
    server: EmbeddingServer, connect: Connect, kind: EmbeddingKind
) -> None:
    await connect(asymmetric=True, truncate="END").embed(["x"], kind)
    assert server.requests[0]["input_type"] == kind.value
    assert server.requests[0]["truncate"] == "END"


async def test_symmetric_models_are_sent_no_further_fields(server: EmbeddingServer, connect: Connect) -> None:
    await connect().embed(["x"], EmbeddingKind.QUERY)
    assert set(server.requests[0]) == {"model", "input", "encoding_format"}


async def test_azure_asks_the_deployment_with_its_version(server: EmbeddingServer, connect: Connect) -> None:
    root = server.base_url.removesuffix("/v1")
    await connect(base_url=root, azure_version="2024-10-21", api_key="secret").embed(
        ["x"], EmbeddingKind.QUERY
    )
    assert server.paths == ["/openai/deployments/m/embeddings?api-version=2024-10-21"]
    assert server.headers[0]["api-key"] == "secret"


async def test_a_key_is_not_taken_along_to_where_a_redirect_leads(
    server: EmbeddingServer, connect: Connect
) -> None:
    server.failures = [307]
    server.failure_headers = {"Location": server.base_url.replace("127.0.0.1", "localhost") + "/elsewhere"}
    azure = connect(base_url=server.base_url, azure_version="2024-10-21", api_key="secret", retries=0)
    with pytest.raises(EmbeddingRemoteError, match="HTTP 307"):
        await azure.embed(["x"], EmbeddingKind.QUERY)
    assert len(server.requests) == 1


async def test_an_empty_text_is_sent_as_a_blank(server: EmbeddingServer, connect: Connect) -> None:
    await connect().embed(["", "x"], EmbeddingKind.PASSAGE)
    assert server.requests[0]["input"] == [" ", "x"]


async def test_a_passing_failure_is_tried_again(server: EmbeddingServer, connect: Connect) -> None:
    server.failures = [503]
    assert (await connect(retries=2).embed(["x"], EmbeddingKind.QUERY)).shape == (1, 64)


async def test_a_refusal_says_who_is_at_fault(server: EmbeddingServer, connect: Connect) -> None:
    server.failures = [401]
    with pytest.raises(EmbeddingConfigError, match="key was refused; check OPENAI_API_KEY"):
        await connect().embed(["x"], EmbeddingKind.QUERY)
    server.failures = [500]
    with pytest.raises(EmbeddingRemoteError, match="HTTP 500") as raised:
        await connect().embed(["x"], EmbeddingKind.QUERY)
    assert raised.value.status == 500


@pytest.mark.parametrize(
    "reply",
    [
        {"data": []},
        {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": [1.0, "x"]}]},
        {"data": [{"index": 0}]},
        {"nothing": 1},
        [1, 2],
    ],
)
async def test_nonsense_is_an_error_that_names_the_endpoint(
    server: EmbeddingServer, connect: Connect, reply: object
) -> None:
    server.reply = reply
    with pytest.raises(EmbeddingRemoteError, match="#m"):
        await connect().embed(["x"], EmbeddingKind.QUERY)


async def test_an_endpoint_that_is_not_there_names_the_offline_choices(connect: Connect) -> None:
    with pytest.raises(EmbeddingRemoteError, match=r"built-in offline embedder.*engine: local"):
        await connect(base_url="http://127.0.0.1:9/v1").embed(["x"], EmbeddingKind.QUERY)


async def test_a_hosted_model_without_a_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(EmbeddingConfigError, match="set OPENAI_API_KEY"):
        await EndpointEmbedder(Endpoint("text-embedding-3-small")).embed(["x"], EmbeddingKind.QUERY)
