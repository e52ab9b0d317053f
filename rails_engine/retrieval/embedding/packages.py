"""Embedders from other Python packages: FastEmbed and SentenceTransformers, run in a worker thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rails_engine.retrieval.base import EmbeddingKind
from rails_engine.retrieval.errors import OFFLINE, EmbeddingConfigError
from rails_engine.retrieval.unsized import UnsizedEmbedder
from rails_engine.retrieval.vectors import Vectors, unit_rows

Encode: TypeAlias = Callable[[Sequence[str], EmbeddingKind], NDArray[np.float32]]


class PackageEmbedder(UnsizedEmbedder):
    """An `Embedder` over a function that a package gives; the model is loaded on first use."""

    def __init__(self, name: str, load: Callable[[], Encode]) -> None:
        super().__init__()
        self._name = name
        self._load = load
        self._encode: Encode | None = None
        self._loading = asyncio.Lock()

    @property
    def model_name(self) -> str:
        """See `Embedder.model_name`."""
        return self._name

    async def _vectors(self, texts: Sequence[str], kind: EmbeddingKind) -> Vectors:
        """As declared.

        Raises:
            EmbeddingConfigError: the package is missing, or the model is neither here nor can be fetched.
        """
        async with self._loading:
            if self._encode is None:
                self._encode = await asyncio.to_thread(self._loaded)
        return unit_rows(await asyncio.to_thread(self._encode, list(texts), kind))

    def _loaded(self) -> Encode:
        try:
            return self._load()
        except ImportError as error:
            raise EmbeddingConfigError(f"{self._name}: the package {error.name} is not installed") from error
        except (OSError, ValueError, RuntimeError) as error:
            raise EmbeddingConfigError(
                f"{self._name}: the model could not be loaded ({error}). {OFFLINE}"
            ) from error


def fastembed(model: str, parameters: Mapping[str, Any]) -> PackageEmbedder:
    """FastEmbed's `TextEmbedding`; `parameters` are its own."""

    def load() -> Encode:
        from fastembed import TextEmbedding

        loaded = TextEmbedding(model_name=model, **parameters)

        def encode(texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
            ask = loaded.query_embed if kind is EmbeddingKind.QUERY else loaded.passage_embed
            return np.stack(list(ask(texts))).astype(np.float32)

        return encode

    return PackageEmbedder(f"fastembed#{model}", load)


def sentence_transformers(model: str, parameters: Mapping[str, Any]) -> PackageEmbedder:
    """A `SentenceTransformer`; `parameters` are its own. Code inside a checkpoint is never run."""
    if parameters.get("trust_remote_code"):
        raise EmbeddingConfigError(
            f"SentenceTransformers#{model}: trust_remote_code would run code from the checkpoint"
        )

    def load() -> Encode:
        from sentence_transformers import SentenceTransformer

        loaded = SentenceTransformer(model, **parameters)

        def encode(texts: Sequence[str], kind: EmbeddingKind) -> NDArray[np.float32]:
            names = ("query",) if kind is EmbeddingKind.QUERY else ("passage", "document")
            prompt = next((name for name in names if loaded.prompts.get(name)), None)
            return np.asarray(loaded.encode(texts, prompt_name=prompt, show_progress_bar=False), np.float32)

        return encode

    return PackageEmbedder(f"SentenceTransformers#{model}", load)
