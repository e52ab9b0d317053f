"""Rerankers by what a configuration names: NVIDIA's ranking endpoint, or `CrossEncoder`, which stands beside the encoders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rails_engine.config.schema import RerankConfig
from rails_engine.retrieval.embedding import CrossEncoder, EncoderSettings
from rails_engine.retrieval.errors import EmbeddingConfigError, EmbeddingRemoteError
from rails_engine.retrieval.hybrid import Reranker
from rails_engine.retrieval.rest import Service, connected, key_from, post_json

PASSAGES_AT_ONCE = 512
"""The most passages that the ranking endpoint takes."""


def reranker_for(config: RerankConfig) -> Reranker:
    """The reranker of a configuration. A NIM's `base_url` ends in `/v1`; the hosted model needs `url` in full.

    Raises:
        EmbeddingConfigError: the folder or the address is missing, or the key.
    """
    parameters = config.parameters
    if config.engine == "local":
        folder = Path(config.model).expanduser()
        if not folder.is_dir():
            raise EmbeddingConfigError(
                f"`rerank: engine: local` wants the folder of a cross-encoder, not {config.model!r}"
            )
        return CrossEncoder(
            EncoderSettings(folder, parameters.get("device", "auto"), parameters.get("max_tokens"))
        )
    base_url = parameters.get("base_url")
    hosted = f"https://ai.api.nvidia.com/v1/retrieval/{config.model}/reranking"
    url = parameters.get("url") or (f"{str(base_url).rstrip('/')}/ranking" if base_url else hosted)
    headers = {}
    if parameters.get("api_key") or not (base_url or parameters.get("url")):
        headers["Authorization"] = (
            f"Bearer {key_from('the reranker', parameters.get('api_key'), 'NVIDIA_API_KEY')}"
        )
    service = Service(f"reranker {config.model}", headers, float(parameters.get("timeout", 30.0)))
    return NvidiaReranker(config.model, url, service)


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
