"""Several answers to one question: in one call where the server gives several, else in calls of one each."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine.errors import LLMServerError
from rails_engine.llm import LLMRequest, Sampling, ScriptedLLM, samples
from tests.llm.conftest import MakeModels, Reply, Stub

QUESTION = LLMRequest(prompt="who is Ann?", sampling=Sampling(temperature=1.0))


def choices(first: str, *others: str) -> Reply:
    further: list[dict[str, Any]] = [{"message": {"role": "assistant", "content": text}} for text in others]
    return Reply(first, further=further)


async def test_one_call_brings_them_all(stub: Stub, models: MakeModels) -> None:
    stub.replies = [choices("a poet", "<think>hm</think>a sailor")]
    assert await samples(models()["main"], QUESTION, 2) == ["a poet", "a sailor"]
    assert [request["n"] for request in stub.requests] == [2]


async def test_a_server_that_gives_one_is_asked_for_the_rest(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("a poet"), Reply("a sailor"), Reply("a cook")]
    assert sorted(await samples(models()["main"], QUESTION, 3)) == ["a cook", "a poet", "a sailor"]
    assert [request.get("n") for request in stub.requests] == [3, None, None]


async def test_a_server_that_refuses_to_give_several_is_asked_one_by_one(
    stub: Stub, models: MakeModels
) -> None:
    stub.replies = [Reply(status=400), Reply("a poet"), Reply("a sailor")]
    assert sorted(await samples(models()["main"], QUESTION, 2)) == ["a poet", "a sailor"]
    assert [request.get("n") for request in stub.requests] == [2, None, None]


async def test_a_server_that_fails_is_told_of(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply(status=500)]
    with pytest.raises(LLMServerError):
        await samples(models()["main"], QUESTION, 2)


async def test_other_models_are_asked_side_by_side() -> None:
    script = ScriptedLLM(["a poet", "a sailor"])
    assert await samples(script, QUESTION, 2) == ["a poet", "a sailor"]
    assert [request.samples for request in script.requests] == [1, 1]


async def test_no_cache_gives_a_sample(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("a poet"), Reply("a sailor"), Reply("a cook"), Reply("a thief")]
    model = models({"cache": {"enabled": True}})["main"]
    first = await samples(model, QUESTION, 2)
    assert sorted(first) == ["a poet", "a sailor"]
    assert sorted(await samples(model, QUESTION, 2)) == ["a cook", "a thief"]
