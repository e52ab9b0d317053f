"""Fixtures of the retrieval tests; the doubles themselves are in `doubles`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.rails_engine.retrieval.doubles import EmbeddingServer, WordEmbedder


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    double = EmbeddingServer()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", double.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    double.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield double
    await runner.cleanup()
