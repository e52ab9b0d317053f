"""From a configuration to what it retrieves with, through the configuration's own keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from rails_engine.config import RailsConfig
from rails_engine.retrieval import (
    EMBEDDING_PROVIDERS,
    EmbeddingConfigError,
    EmbeddingError,
    EmbeddingKind,
    EmbeddingModel,
    EmbeddingsIndex,
    IndexItem,
    Item,
    RetrievalSetup,
    StaticEmbedder,
    cosine_of,
    similarity_of,
)
from rails_engine.retrieval.embedding import BatchingEmbedder, CachingEmbedder
from tests.rails_engine.retrieval.doubles import EmbeddingServer


def setup_of(yaml: str) -> RetrievalSetup:
    return RetrievalSetup(RailsConfig.from_content(yaml_content=yaml or "models: []"))


class LengthModel(EmbeddingModel):
    engine_name = "length-of-text"

    def __init__(self, embedding_model: str, scale: float = 1.0) -> None:
        self.scale = scale

    async def encode_async(self, documents: list[str]) -> list[list[float]]:
        return [[len(text) * self.scale, 1.0] for text in documents]

    def encode(self, documents: list[str]) -> list[list[float]]:
        raise NotImplementedError


class ListIndex(EmbeddingsIndex):
    def __init__(self, reverse: bool = False) -> None:
        self.items: list[IndexItem] = []
        self.reverse = reverse

    async def add_items(self, items: list[IndexItem]) -> None:
        self.items.extend(items)

    async def search(self, text: str, max_results: int, threshold: float | None) -> list[IndexItem]:
        return (self.items[::-1] if self.reverse else self.items)[:max_results]


def test_without_an_engine_the_shipped_embedder_is_used() -> None:
    assert isinstance(setup_of("").embedder(), StaticEmbedder)


async def test_the_embeddings_model_of_the_models_is_used(server: EmbeddingServer) -> None:
    setup = setup_of(
        "models:\n- {type: embeddings, engine: openai, model: m,"
        f" parameters: {{base_url: '{server.base_url}', api_key: k, dimensions: 64}}}}"
    )
    embedder = setup.embedder()
    assert isinstance(embedder, BatchingEmbedder)
    await embedder.embed(["x"], EmbeddingKind.QUERY)
    await setup.aclose()
    assert (server.requests[0]["model"], server.requests[0]["dimensions"]) == ("m", 64)
    assert server.headers[0]["Authorization"] == "Bearer k"


async def test_a_search_providers_parameters_name_another_model(server: EmbeddingServer) -> None:
    setup = setup_of(
        "models:\n- {type: embeddings, engine: FastEmbed, model: some}\n"
        "core: {embedding_search_provider: {name: default, parameters: {embedding_engine: nim, embedding_model: e5,"
        f" embedding_parameters: {{base_url: '{server.base_url}'}}, use_batching: false}}}}}}"
    )
    await setup.embedder().embed(["x"], EmbeddingKind.QUERY)
    await setup.aclose()
    assert (server.requests[0]["input_type"], server.requests[0]["truncate"]) == ("query", "END")


def test_a_configuration_that_names_fastembed_gets_fastembed() -> None:
    setup = setup_of("models:\n- {type: embeddings, engine: FastEmbed, model: all-MiniLM-L6-v2}")
    assert setup.embedder().model_name == "fastembed#all-MiniLM-L6-v2"


def test_an_unknown_engine_says_what_was_meant() -> None:
    with pytest.raises(EmbeddingConfigError, match="did you mean 'fastembed'"):
        setup_of("models:\n- {type: embeddings, engine: FastEmbd, model: x}").embedder()


async def test_a_hub_name_under_local_is_refused_and_nothing_is_fetched() -> None:
    with pytest.raises(EmbeddingConfigError, match="Nothing is downloaded"):
        setup_of("models:\n- {type: embeddings, engine: local, model: org/some-model}").embedder()


async def test_a_users_embedding_model_is_used() -> None:
    EMBEDDING_PROVIDERS.register(LengthModel)
    with pytest.raises(ValueError, match="length-of-text already exists in the registry"):
        EMBEDDING_PROVIDERS.register(LengthModel)
    setup = setup_of(
        "models:\n- {type: embeddings, engine: length-of-text, model: m, parameters: {scale: 2.0, other: 1}}"
    )
    vectors = await setup.embedder().embed(["four"], EmbeddingKind.QUERY)
    assert vectors[0, 0] / vectors[0, 1] == pytest.approx(8)


async def test_a_users_embedding_model_that_fails_is_named() -> None:
    class Broken(LengthModel):
        async def encode_async(self, documents: list[str]) -> list[list[float]]:
            raise ZeroDivisionError("oops")

    EMBEDDING_PROVIDERS.register(Broken, "broken-model")
    setup = setup_of("models:\n- {type: embeddings, engine: broken-model, model: m}")
    with pytest.raises(EmbeddingError, match=r"'broken-model#m' failed: oops"):
        await setup.embedder().embed(["x"], EmbeddingKind.QUERY)


def test_what_is_no_embedding_model_is_refused() -> None:
    with pytest.raises(ValueError, match="does not have an 'encode' method"):
        EMBEDDING_PROVIDERS.register(int, "x")  # type: ignore[arg-type]


async def test_a_users_search_provider_is_used_with_its_parameters() -> None:
    setup = setup_of("core: {embedding_search_provider: {name: mine, parameters: {reverse: true}}}")
    setup.search_providers.register("mine", ListIndex)
    searcher = setup.searcher()
    await searcher.add([Item("a"), Item("b", {"k": 1})])
    await searcher.build()
    found = await searcher.search("x", 1)
    assert [(hit.item.text, hit.item.meta) for hit in found] == [("b", {"k": 1})]


def test_an_unknown_search_provider_shows_when_it_is_needed() -> None:
    setup = setup_of("core: {embedding_search_provider: {name: nowhere}}")
    with pytest.raises(EmbeddingConfigError, match="no embedding search provider 'nowhere'"):
        setup.searcher()


async def test_the_cache_of_the_configuration_keeps_vectors(server: EmbeddingServer, tmp_path: Path) -> None:
    yaml = (
        "models:\n- {type: embeddings, engine: openai, model: m,"
        f" parameters: {{base_url: '{server.base_url}', api_key: k}}}}\n"
        "core: {embedding_search_provider: {cache: {enabled: true, store: filesystem,"
        f" store_config: {{cache_dir: '{tmp_path}'}}}}, parameters: {{use_batching: false}}}}}}"
    )
    for _ in range(2):
        setup = setup_of(yaml)
        embedder = setup.embedder()
        assert isinstance(embedder, CachingEmbedder)
        await embedder.embed(["same text"], EmbeddingKind.QUERY)
        await setup.aclose()
    assert [request["input"] for request in server.requests if "same text" in request["input"]] == [
        ["same text"]
    ]


@pytest.mark.parametrize("cosine", [-1.0, 0.0, 0.3, 0.999, 1.0])
def test_the_scale_of_thresholds_goes_both_ways(cosine: float) -> None:
    assert cosine_of(similarity_of(cosine)) == pytest.approx(cosine)


def test_a_threshold_without_an_engine_is_mapped_and_said(caplog: pytest.LogCaptureFixture) -> None:
    assert setup_of("").threshold(0.5) > cosine_of(0.5)
    assert "another scale" in caplog.text


def test_a_threshold_with_an_engine_is_taken_as_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    setup = setup_of("models:\n- {type: embeddings, engine: built-in, model: default}")
    assert setup.threshold(0.5) == pytest.approx(cosine_of(0.5))
    assert caplog.text == ""


async def test_the_documents_of_the_configuration_are_the_knowledge_base() -> None:
    config = RailsConfig.from_content(
        config={"models": [], "docs": [{"format": "md", "content": "# Wren\nThe wren weighs nine grams."}]}
    )
    base = RetrievalSetup(config).knowledge_base()
    assert base is not None
    assert [chunk.body for chunk in await base.search("how much does a wren weigh")] == [
        "The wren weighs nine grams."
    ]


def folder_with(tmp_path: Path, yaml: str, **files: str) -> RailsConfig:
    (tmp_path / "kb").mkdir()
    (tmp_path / "config.yml").write_text(yaml)
    for name, text in files.items():
        (tmp_path / "kb" / name.replace("__", ".")).write_text(text)
    return RailsConfig.from_path(tmp_path)


async def test_every_kind_of_document_in_the_folder_is_found_with_its_place(tmp_path: Path) -> None:
    config = folder_with(
        tmp_path,
        "models: []\n",
        birds__md="# Wren\nThe wren weighs nine grams.",
        hours__html="<h1>Hours</h1><p>We open at eight.",
        fish__txt="A carp eats snails.",
    )
    base = RetrievalSetup(config).knowledge_base()
    assert base is not None
    for question, place in [
        ("how heavy is a wren", "kb/birds.md:2-2 (Wren)"),
        ("when do you open", "kb/hours.html:1-1 (Hours)"),
        ("what do carps eat", "kb/fish.txt:1-1"),
    ]:
        assert str((await base.search(question, 1))[0].provenance) == place
    assert len(base.chunks) == 3


async def test_the_index_folder_keeps_the_vectors(tmp_path: Path, server: EmbeddingServer) -> None:
    yaml = (
        "models:\n- {type: embeddings, engine: openai, model: m,"
        f" parameters: {{base_url: '{server.base_url}', api_key: k}}}}\n"
        f"knowledge_base: {{index_folder: '{tmp_path / 'index'}'}}\n"
    )
    config = folder_with(tmp_path, yaml, birds__md="# Wren\nThe wren weighs nine grams.")
    for _ in range(2):
        setup = RetrievalSetup(config)
        base = setup.knowledge_base()
        assert base is not None
        await base.build()
        await setup.aclose()
    sent = [text for request in server.requests for text in request["input"]]
    assert sum("nine grams" in text for text in sent) == 1


async def test_reranking_is_wired_from_the_configuration(tmp_path: Path, server: EmbeddingServer) -> None:
    yaml = (
        "models: []\nknowledge_base: {rerank: {engine: nim, model: r,"
        f" parameters: {{base_url: '{server.base_url}'}}}}}}\n"
    )
    config = folder_with(tmp_path, yaml, a__md="# A\nthe wren sings", b__md="# B\nthe wren flies")
    base = RetrievalSetup(config).knowledge_base()
    assert base is not None
    server.reply = {"rankings": [{"index": 1, "logit": 3.0}, {"index": 0, "logit": 1.0}]}
    first, second = await base.search("wren", 2)
    sent = [passage["text"] for passage in server.requests[0]["passages"]]
    assert [first.text, second.text] == sent[::-1]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("knowledge_base: {rerank: {engine: local, model: nowhere}}", "wants the folder of a cross-encoder"),
        ("core: {embedding_search_provider: {parameters: {index: {kind: annoy}}}}", "no index kind 'annoy'"),
        (
            "core: {embedding_search_provider: {cache: {enabled: true, store: floppy}}}",
            "no embedding cache store",
        ),
    ],
)
def test_what_cannot_be_made_is_a_clear_error(yaml: str, message: str) -> None:
    config = RailsConfig.from_content(
        yaml_content=f"models: []\ndocs: [{{format: md, content: text}}]\n{yaml}\n"
    )
    setup = RetrievalSetup(config)
    with pytest.raises(EmbeddingConfigError, match=message):
        (setup.searcher(), setup.knowledge_base())


def test_no_documents_no_knowledge_base() -> None:
    assert setup_of("").knowledge_base() is None
