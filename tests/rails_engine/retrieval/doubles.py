"""Doubles for retrieval tests: an embedder whose vectors are words, and an embeddings server on the loopback."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from rails_engine.retrieval import EmbeddingKind

DIMENSION = 64


def word_vector(text: str, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """A bag of hashed words: texts that share words are near each other."""
    vector = np.zeros(dimension, np.float32)
    for word in text.lower().replace("?", " ").replace(".", " ").replace("#", " ").split():
        vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % dimension] += 1
    return vector / max(1e-9, float(np.linalg.norm(vector)))


class WordEmbedder:
    """Deterministic, and it notes each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], EmbeddingKind]] = []

    @property
    def model_name(self) -> str:
        return "words"

    async def dimension(self) -> int:
        return DIMENSION

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
        self.calls.append((list(texts), kind))
        return np.stack([word_vector(text) for text in texts])


class EmbeddingServer:
    """An OpenAI-style `/v1/embeddings`.

    `failures` is a list of statuses to answer first (with `failure_headers`), `dimensions` one of lengths.
    """

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.failures: list[int] = []
        self.failure_headers = {"Retry-After": "0"}
        self.reply: Any = None
        self.base_url = ""
        self.dimension = DIMENSION
        self.dimensions: list[int] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.paths.append(request.path_qs)
        if self.failures:
            error, status = {"error": {"message": "no"}}, self.failures.pop(0)
            return web.json_response(error, status=status, headers=self.failure_headers)
        if self.reply is not None:
            return web.json_response(self.reply)
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if self.dimensions:
            self.dimension = self.dimensions.pop(0)
        rows = [self._row(i, text, body.get("encoding_format")) for i, text in enumerate(texts)]
        return web.json_response({"object": "list", "data": rows[::-1], "model": body["model"]})

    def _row(self, index: int, text: str, encoding: str | None) -> dict[str, Any]:
        vector: Any = (3 * word_vector(text, self.dimension)).tolist()
        if encoding == "base64":
            vector = base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode()
        return {"object": "embedding", "index": index, "embedding": vector}
