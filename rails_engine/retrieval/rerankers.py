"""NVIDIA's ranking endpoint as a reranker; the local one is `CrossEncoder`, beside the encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.errors import EmbeddingRemoteError
from rails_engine.retrieval.rest import Service, connected, post_json

PASSAGES_AT_ONCE = 512
"""The most passages that the ranking endpoint takes."""


class NvidiaReranker:
    """`POST /v1/ranking` of a NIM, or the hosted address in full."""

    def __init__(self, model: str, url: str, service: Service) -> None:
        """`url` is the address of the ranking itself; `service` carries the key in its headers."""
        self._model = model
        self._url = url
        self._service = service

    async def scores(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Logits, in the order of the passages.

        Raises:
            EmbeddingConfigError: the key was refused.
            EmbeddingRemoteError: the endpoint failed after its retries or answered nonsense.
        """
        scores = np.full(len(passages), -np.inf, np.float32)
        async with connected(self._service) as client:
            for start in range(0, len(passages), PASSAGES_AT_ONCE):
                part = passages[start : start + PASSAGES_AT_ONCE]
                body = {
                    "model": self._model,
                    "query": {"text": question},
                    "passages": [{"text": passage} for passage in part],
                    "truncate": "END",
                }
                reply = await post_json(client, self._service, self._url, body)
                for place, logit in _rankings(reply, len(part), self._service.name):
                    scores[start + place] = logit
        return scores


def _rankings(reply: Any, count: int, name: str) -> list[tuple[int, float]]:
    try:
        found = [(int(entry["index"]), float(entry["logit"])) for entry in reply["rankings"]]
    except (KeyError, TypeError, ValueError) as error:
        raise EmbeddingRemoteError(f"{name}: the reply holds no rankings") from error
    if any(not 0 <= place < count for place, _ in found):
        raise EmbeddingRemoteError(f"{name}: a ranking names a passage that was not sent")
    return found
