"""Fixtures of the retrieval tests; the doubles themselves are in `doubles`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.loopback import serving
from tests.rails_engine.retrieval.doubles import EmbeddingServer, WordEmbedder


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    double = EmbeddingServer()
    async with serving(double.answer) as url:
        double.base_url = f"{url}/v1"
        yield double
