"""`engine: local` in a configuration, with a real model behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rails_engine.config import Model
from rails_engine.errors import (
    InvalidModelConfigurationError,
    LLMBadRequestError,
    LLMContextWindowError,
    ModelInitializationError,
)
from rails_engine.llm import Choice, Chunk, JsonSchema, LLMRequest, Message, Models, Sampling, create_models
from tests.inference_backend.checkpoints import make_chat


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_chat(tmp_path_factory.mktemp("local")).folder


def entry(folder: Path, kind: str = "main", **parameters: Any) -> Model:
    return Model(
        type=kind,
        engine="local",
        model=str(folder),
        parameters={"device": "cpu", "kv_blocks": 200, "block_size": 4, "max_tokens": 8, **parameters},
    )


@pytest.fixture
async def models(folder: Path) -> AsyncIterator[Models]:
    made = create_models([entry(folder, temperature=0.0), entry(folder, "self_check_input", temperature=0.0)])
    yield made
    await made.close()


async def ask(models: Models, kind: str = "main", text: str = "Hello", **request: Any) -> list[Chunk]:
    messages = (Message("user", text),)
    return [chunk async for chunk in models[kind].stream(LLMRequest(messages=messages, **request))]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def test_an_answer_streams_and_ends_with_its_usage(models: Models) -> None:
    chunks = await ask(models, sampling=Sampling(max_tokens=6))
    assert len(chunks) > 2
    last = chunks[-1]
    assert last.finish_reason in {"stop", "length"}
    assert last.usage is not None
    assert last.usage.completion_tokens <= 6
    assert models["main"].provider_name == "local"


async def test_entries_of_one_folder_share_one_engine(models: Models) -> None:
    first = text_of(await ask(models))
    assert text_of(await ask(models, "self_check_input")) == first
    assert models["main"]._engine is models["self_check_input"]._engine  # type: ignore[attr-defined]


async def test_constraints_reach_the_engine(models: Models) -> None:
    assert text_of(await ask(models, constraint=Choice(("yes", "no")))) in {"yes", "no"}
    schema = '{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": false}'
    answer = text_of(await ask(models, constraint=JsonSchema(schema), sampling=Sampling(max_tokens=40)))
    assert answer.replace(" ", "") in {'{"ok":true}', '{"ok":false}'}


async def test_logprobs_are_given_as_text(models: Models) -> None:
    chunks = await ask(models, sampling=Sampling(logprobs=2, max_tokens=3))
    entries = [entry for chunk in chunks for entry in chunk.logprobs]
    assert len(entries) == 3
    assert all(entry.logprob == entry.top[0][1] for entry in entries)


async def test_errors_are_those_of_any_model(models: Models) -> None:
    with pytest.raises(LLMContextWindowError):
        await ask(models, text="word " * 2000)
    with pytest.raises(LLMBadRequestError, match="temperature"):
        await ask(models, sampling=Sampling(temperature=-3.0))


async def test_a_limit_above_what_the_model_has_is_cut_to_it(models: Models) -> None:
    last = (await ask(models, sampling=Sampling(max_tokens=100_000), extra={"ignore_eos": True}))[-1]
    assert last.finish_reason == "length"
    assert last.usage is not None
    assert last.usage.total_tokens == 512


def test_an_entry_is_checked_before_anything_is_loaded(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidModelConfigurationError, match="no checkpoint folder"):
        create_models([entry(tmp_path)])
    with pytest.raises(InvalidModelConfigurationError, match="did you mean `max_tokens`"):
        create_models([entry(folder, max_token=3)])


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"nothing of the kind")
    return tmp_path


async def test_a_model_that_cannot_be_loaded_says_why(broken: Path) -> None:
    models = create_models([entry(broken)])
    with pytest.raises(ModelInitializationError, match="not a readable safetensors file"):
        await ask(models)
