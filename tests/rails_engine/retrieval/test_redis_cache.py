"""The embedding cache in a real Redis server, started for these tests."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import pytest

from rails_engine.config.schema import EmbeddingsCacheConfig
from rails_engine.retrieval import EmbeddingKind
from rails_engine.retrieval.embedding import CachingEmbedder, RedisStore, store_for
from tests.rails_engine.retrieval.doubles import WordEmbedder

pytest.importorskip("redis")
SERVER = shutil.which("redis-server")
pytestmark = pytest.mark.skipif(SERVER is None, reason="needs redis-server (the package of that name)")

QUERY = EmbeddingKind.QUERY


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("redis")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = int(probe.getsockname()[1])
    options = ["--port", str(number), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([str(SERVER), *options], stdout=subprocess.DEVNULL)  # noqa: S603 -- found on the path
    try:
        _wait_for(number)
        yield number
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("redis-server does not answer")


@pytest.fixture
def store(port: int) -> RedisStore:
    return RedisStore(f"redis://127.0.0.1:{port}/0")


async def test_a_text_is_embedded_once_for_every_process(port: int, embedder: WordEmbedder) -> None:
    config = EmbeddingsCacheConfig(
        enabled=True, store="redis", store_config={"host": "127.0.0.1", "port": port}
    )
    first = await CachingEmbedder(embedder, store_for(config)).embed(["a", "b"], QUERY)
    again = await CachingEmbedder(embedder, store_for(config)).embed(["b", "a", "c"], QUERY)
    assert [texts for texts, _ in embedder.calls] == [["a", "b"], ["c"]]
    assert again[:2] == pytest.approx(first[::-1])


async def test_many_at_a_time_share_it(store: RedisStore, embedder: WordEmbedder) -> None:
    caches = [CachingEmbedder(embedder, store) for _ in range(20)]
    answers = await asyncio.gather(
        *(cache.embed([f"w{n}", "shared"], QUERY) for n, cache in enumerate(caches))
    )
    assert all(np.allclose(answer[1], answers[0][1]) for answer in answers)


async def test_entries_expire_and_clearing_spares_what_is_not_ours(store: RedisStore, port: int) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(f"redis://127.0.0.1:{port}/0") as client:
        await client.set("somebody's", b"value")
        await store.put({"key": b"1234"})
        assert 0 < await client.ttl("interlock:embedding:key") <= 30 * 86_400
        await store.clear()
        assert await store.get(["key"]) == {}
        assert await client.get("somebody's") == b"value"


async def test_a_server_that_is_gone_costs_time_and_no_answer(
    embedder: WordEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    cached = CachingEmbedder(embedder, RedisStore("redis://127.0.0.1:9/0"))
    assert (await cached.embed(["a"], QUERY)).shape == (1, 64)
    assert "the embedding cache cannot be read" in caplog.text
