"""FastEmbed and SentenceTransformers: how they are called, and what is said when they or their models are missing.

Their models have to be fetched, so stand-ins with the packages' documented methods take their place here; FastEmbed
itself embeds from a folder in `test_onnx_encoder`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rails_engine.retrieval import EmbeddingConfigError, EmbeddingKind
from rails_engine.retrieval.embedding import embedder_for

QUERY, PASSAGE = EmbeddingKind.QUERY, EmbeddingKind.PASSAGE


class TextEmbedding:
    made: list[dict[str, Any]] = []  # noqa: RUF012 -- what the last tests made it with

    def __init__(self, **parameters: Any) -> None:
        if parameters["model_name"] == "nowhere":
            raise ValueError("Could not load model nowhere from any source.")
        self.made.append(parameters)

    def query_embed(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        return (np.array([3, 4], np.float32) for _ in texts)

    def passage_embed(self, texts: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        return (np.array([0, 2], np.float32) for _ in texts)


class SentenceTransformer:
    def __init__(self, _model: str, **_parameters: Any) -> None:
        self.prompts = {"query": "query: ", "document": ""}

    def encode(self, texts: Sequence[str], prompt_name: str | None, **_options: Any) -> NDArray[np.float32]:
        return np.array([[1, 0] if prompt_name == "query" else [0, 1] for _ in texts], np.float32)


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, cls in (("fastembed", TextEmbedding), ("sentence_transformers", SentenceTransformer)):
        module = ModuleType(name)
        setattr(module, cls.__name__, cls)
        monkeypatch.setitem(sys.modules, name, module)


async def test_fastembed_is_told_queries_from_passages(packages: None) -> None:
    embedder = embedder_for("FastEmbed", "some-model", {"cache_dir": "models"})
    assert (await embedder.embed(["a"], QUERY)).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)]]
    assert (await embedder.embed(["a", "b"], PASSAGE)).tolist() == [[0, 1], [0, 1]]
    assert await embedder.dimension() == 2
    assert TextEmbedding.made[-1] == {"model_name": "some-model", "cache_dir": "models"}


async def test_sentence_transformers_use_their_prompts(packages: None) -> None:
    embedder = embedder_for("SentenceTransformers", "some-model", {})
    assert (await embedder.embed(["a"], QUERY)).tolist() == [[1, 0]]
    assert (await embedder.embed(["a"], PASSAGE)).tolist() == [[0, 1]]


async def test_a_model_that_cannot_be_fetched_names_the_offline_choices(packages: None) -> None:
    with pytest.raises(
        EmbeddingConfigError, match=r"Could not load model nowhere.*built-in offline.*engine: local"
    ):
        await embedder_for("FastEmbed", "nowhere", {}).embed(["a"], QUERY)


@pytest.mark.parametrize(
    ("engine", "package"), [("FastEmbed", "fastembed"), ("SentenceTransformers", "sentence_transformers")]
)
async def test_a_missing_package_is_named(engine: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EmbeddingConfigError, match=f"the package {package} is not installed"):
        await embedder_for(engine, "some-model", {}).embed(["a"], QUERY)


def test_code_from_a_checkpoint_is_never_run() -> None:
    with pytest.raises(EmbeddingConfigError, match="would run code from the checkpoint"):
        embedder_for("SentenceTransformers", "m", {"trust_remote_code": True})
