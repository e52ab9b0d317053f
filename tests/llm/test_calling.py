"""`llm_call`, as users' actions call it."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine.errors import LLMCallException, LLMServerError
from rails_engine.llm import FakeLLMModel, Message, ScriptedLLM, llm_call, public_model


class Pieces:
    def __init__(self) -> None:
        self.got: list[Any] = []

    async def push_chunk(self, chunk: Any) -> None:
        self.got.append(chunk)

    async def finish(self) -> None:
        self.got.append(None)


async def test_a_text_is_asked_with_the_parameters_of_the_call() -> None:
    script = ScriptedLLM(["fine"])
    answer = await llm_call(
        public_model(script), "how?", stop=["x"], llm_params={"temperature": 0.3, "top_a": 1}
    )
    request = script.requests[0]
    assert (answer.content, request.prompt, request.sampling.temperature, request.sampling.stop, request.extra) == (
        "fine", "how?", 0.3, ("x",), {"top_a": 1},
    )  # fmt: skip


@pytest.mark.parametrize("key", ["role", "type"])
async def test_messages_name_their_role_under_either_key(key: str) -> None:
    script = ScriptedLLM(["fine"])
    await llm_call(script, [{key: "system", "content": "s"}, {key: "user", "content": "u"}])
    assert script.requests[0].messages == (Message("system", "s"), Message("user", "u"))


async def test_pieces_are_pushed_as_they_come() -> None:
    pieces = Pieces()
    answer = await llm_call(FakeLLMModel(responses=["one two"]), "q", streaming_handler=pieces)
    assert (pieces.got, answer.content) == (["one ", "two", None], "one two")


@pytest.mark.parametrize(
    "model", [None, ScriptedLLM([LLMServerError(500, "down")]), ScriptedLLM([KeyError("odd")])]
)
async def test_every_failure_has_one_name(model: Any) -> None:
    with pytest.raises(LLMCallException) as caught:
        await llm_call(model, "q")
    assert caught.value.status == (500 if isinstance(caught.value.inner_exception, LLMServerError) else None)
