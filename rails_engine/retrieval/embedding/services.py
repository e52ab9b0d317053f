"""Embedding services with an interface of their own: Cohere and Google."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.errors import EmbeddingRemoteError
from rails_engine.retrieval.rest import Service, connected, post_json
from rails_engine.retrieval.unsized import UnsizedEmbedder
from rails_engine.retrieval.vectors import Vectors, of_one_length, remote_rows


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a service wants to be asked: the body for some texts, and the rows in its reply."""

    url: str
    batch_size: int
    body: Callable[[Sequence[str], EmbeddingKind], Mapping[str, Any]]
    rows: Callable[[Any], Sequence[Sequence[float]]]


class ServiceEmbedder(UnsizedEmbedder):
    """An `Embedder` over a service in its dialect; the requests of one call share a connection."""

    def __init__(self, model: str, service: Service, dialect: Dialect) -> None:
        super().__init__()
        self._model = model
        self._service = service
        self._dialect = dialect

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return f"{self._service.name}#{self._model}"

    async def _vectors(self, texts: Sequence[str], kind: EmbeddingKind) -> Vectors:
        """As declared.

        Raises:
            EmbeddingConfigError: the key was refused.
            EmbeddingRemoteError: the service failed after its retries or answered nonsense.
        """
        size = self._dialect.batch_size
        async with connected(self._service) as client:
            parts = []
            for i in range(0, len(texts), size):
                batch = [text or " " for text in texts[i : i + size]]
                body = self._dialect.body(batch, kind)
                reply = await post_json(client, self._service, self._dialect.url, body)
                parts.append(self._read(reply, len(batch)))
        return of_one_length(parts, self._dimension, self.model_name)

    def _read(self, reply: Any, expected: int) -> Vectors:
        try:
            rows = self._dialect.rows(reply)
        except (KeyError, TypeError, IndexError) as error:
            raise EmbeddingRemoteError(f"{self.model_name}: the reply holds no embeddings") from error
        return remote_rows(rows, expected, self.model_name)


def cohere(model: str, key: str, base_url: str | None, service: Mapping[str, Any]) -> ServiceEmbedder:
    """Cohere's `/v2/embed`, at most 96 texts a request; `service` are further fields of `Service`."""
    inputs = {EmbeddingKind.QUERY: "search_query", EmbeddingKind.PASSAGE: "search_document"}
    dialect = Dialect(
        url=f"{(base_url or 'https://api.cohere.com').rstrip('/')}/v2/embed",
        batch_size=96,
        body=lambda texts, kind: {
            "model": model,
            "texts": list(texts),
            "input_type": inputs[kind],
            "embedding_types": ["float"],
        },
        rows=lambda reply: reply["embeddings"]["float"],
    )
    return ServiceEmbedder(model, Service("cohere", {"Authorization": f"Bearer {key}"}, **service), dialect)


def google(model: str, key: str, base_url: str | None, service: Mapping[str, Any]) -> ServiceEmbedder:
    """Google's `batchEmbedContents`, at most 100 texts a request; `service` are further fields of `Service`."""
    path = model if model.startswith("models/") else f"models/{model}"
    root = (base_url or "https://generativelanguage.googleapis.com/v1beta").rstrip("/")
    tasks = {EmbeddingKind.QUERY: "RETRIEVAL_QUERY", EmbeddingKind.PASSAGE: "RETRIEVAL_DOCUMENT"}
    dialect = Dialect(
        url=f"{root}/{path}:batchEmbedContents",
        batch_size=100,
        body=lambda texts, kind: {
            "requests": [
                {"model": path, "content": {"parts": [{"text": text}]}, "taskType": tasks[kind]}
                for text in texts
            ]
        },
        rows=lambda reply: [entry["values"] for entry in reply["embeddings"]],
    )
    return ServiceEmbedder(model, Service("google", {"x-goog-api-key": key}, **service), dialect)
