"""Models that users bring, and models that users are handed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from rails_engine.config import Model
from rails_engine.errors import LLMCallException, ModelInitializationError
from rails_engine.llm import (
    ChatMessage,
    FakeLLMModel,
    LLMRequest,
    LLMResponse,
    LLMResponseChunk,
    Message,
    PublicToolCall,
    Role,
    Sampling,
    ScriptedLLM,
    Tool,
    ToolCall,
    ToolCallFunction,
    Usage,
    UsageInfo,
    as_llm,
    complete,
    create_models,
    get_default_framework,
    public_model,
    register_framework,
    register_provider,
    set_default_framework,
)

Q = LLMRequest(prompt="q")


class Echo:
    """A user's own model."""

    model_name, provider_name, provider_url = "echo", "own", None

    def __init__(self, **parameters: Any) -> None:
        self.parameters = parameters
        self.calls: list[tuple[Any, Any, dict[str, Any]]] = []

    async def generate_async(self, prompt: Any, *, stop: Any = None, **kwargs: Any) -> LLMResponse:
        self.calls.append((prompt, stop, kwargs))
        return LLMResponse(
            content="echo",
            reasoning="r",
            tool_calls=[PublicToolCall("c1", "function", ToolCallFunction("f", {"a": 1}))],
            usage=UsageInfo(1, 2, 3),
        )

    async def stream_async(
        self, prompt: Any, *, stop: Any = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        self.calls.append((prompt, stop, kwargs))
        for piece in ("e", "cho"):
            yield LLMResponseChunk(delta_content=piece)


async def test_a_users_model_is_called_as_it_expects() -> None:
    model = Echo()
    request = LLMRequest(
        messages=(Message("user", "hi"),),
        sampling=Sampling(temperature=0.5, stop=("x",)),
        tools=(Tool("f", parameters={"type": "object"}),),
        extra={"user": "u"},
    )
    answer = await complete(as_llm(model), request)
    prompt, stop, kwargs = model.calls[0]
    assert (prompt[0].role, prompt[0].content, stop) == (Role.USER, "hi", ["x"])
    assert (kwargs["temperature"], kwargs["user"], kwargs["tools"][0]["function"]["name"]) == (0.5, "u", "f")
    assert (answer.text, answer.reasoning, answer.usage) == ("echo", "r", Usage(1, 2))
    assert answer.tool_calls == (ToolCall("c1", "f", '{"a": 1}'),)


async def test_a_users_model_streams() -> None:
    stream = as_llm(Echo()).stream(LLMRequest(prompt="q", streaming=True))
    assert [chunk.text async for chunk in stream] == ["e", "cho"]


async def test_a_users_model_streams_tool_calls_one_after_another() -> None:
    class Caller(Echo):
        async def stream_async(
            self, prompt: Any, *, stop: Any = None, **kwargs: Any
        ) -> AsyncIterator[LLMResponseChunk]:
            for name in ("f", "g"):
                call = PublicToolCall(f"c-{name}", "function", ToolCallFunction(name, {"a": 1}))
                yield LLMResponseChunk(delta_tool_calls=[call], provider_metadata={"region": "x"})

    answer = await complete(as_llm(Caller()), LLMRequest(prompt="q", streaming=True))
    assert answer.tool_calls == (ToolCall("c-f", "f", '{"a": 1}'), ToolCall("c-g", "g", '{"a": 1}'))
    assert answer.metadata == {"region": "x"}


def test_actions_get_the_users_own_object_back() -> None:
    model = Echo()
    assert public_model(as_llm(model)) is model


async def test_actions_get_our_models_under_the_public_protocol() -> None:
    script = ScriptedLLM(["one", "two three"])
    model = public_model(script)
    response = await model.generate_async(
        [ChatMessage.from_user("hi")], stop=["x"], temperature=0.1, max_tokens=5, top_a=1
    )
    assert response.content == "one"
    request = script.requests[0]
    assert request.messages == (Message("user", "hi"),)
    assert request.sampling == Sampling(temperature=0.1, max_tokens=5, stop=("x",))
    assert request.extra == {"top_a": 1}
    assert [c.delta_content async for c in model.stream_async("q") if c.delta_content] == ["two ", "three"]
    assert as_llm(model) is script


def test_something_else_is_no_model() -> None:
    with pytest.raises(ModelInitializationError, match="int is no model"):
        as_llm(5)


async def test_a_registered_provider_makes_models() -> None:
    register_provider("echo_engine", Echo)
    models = create_models(
        [Model(type="main", engine="echo_engine", model="zz", parameters={"temperature": 0.3})]
    )
    user_model = public_model(models["main"])
    assert isinstance(user_model, Echo)
    assert user_model.parameters == {"model": "zz", "temperature": 0.3}
    assert (await complete(models["main"], Q)).text == "echo"


def test_a_provider_that_fails_is_named() -> None:
    def broken(**_: Any) -> Any:
        raise KeyError("nope")

    register_provider("broken_engine", broken)
    with pytest.raises(ModelInitializationError, match="broken_engine"):
        create_models([Model(type="main", engine="broken_engine", model="m")])


class OwnFramework:
    def create_model(
        self, model_name: str, provider_name: str, model_kwargs: dict[str, Any] | None = None
    ) -> Echo:
        return Echo(name=model_name, provider=provider_name, **(model_kwargs or {}))

    def register_provider(self, name: str, provider_cls: Any) -> None: ...

    def get_provider_names(self) -> list[str]:
        return []

    def reset(self) -> None: ...


async def test_a_framework_makes_every_model() -> None:
    register_framework("own", OwnFramework())
    set_default_framework("own")
    try:
        models = create_models([Model(type="main", engine="whatever", model="m", parameters={"k": 1})])
    finally:
        set_default_framework("default")
    made = public_model(models["main"])
    assert isinstance(made, Echo)
    assert made.parameters == {"name": "m", "provider": "whatever", "k": 1}
    assert get_default_framework() == "default"


def test_an_unknown_framework_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelInitializationError, match="known: default"):
        set_default_framework("nowhere")


async def test_the_double_in_users_tests() -> None:
    usage = [{"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}]
    double = FakeLLMModel(responses=["hello you", "two"], token_usage=usage, should_return_token_usage=True)
    model = as_llm(double)
    pieces = [c.text async for c in model.stream(LLMRequest(prompt="q", streaming=True))]
    assert pieces == ["hello ", "you"]
    assert (await complete(model, Q)).text == "two"
    with pytest.raises(RuntimeError, match="No responses available for query number 3"):
        await complete(model, Q)
    assert double.inference_count == 3
    with pytest.raises(ValueError, match="boom"):
        await complete(as_llm(FakeLLMModel(llm_exception=ValueError("boom"))), Q)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"role": "bot", "content": "x"}, {"role": "assistant", "content": "x"}),
        ({"role": "human", "content": "x"}, {"role": "user", "content": "x"}),
        ({"role": "developer", "content": "x"}, {"role": "system", "content": "x"}),
        (
            {"role": "tool", "content": "r", "tool_call_id": "1"},
            {"role": "tool", "content": "r", "tool_call_id": "1"},
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "1", "name": "f", "args": {"a": 1}}]},
            {
                "role": "assistant",
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
                ],
            },
        ),
    ],
)
def test_messages_from_any_of_their_shapes(data: dict[str, Any], expected: dict[str, Any]) -> None:
    assert ChatMessage.from_dict(data).to_dict() == expected


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown message role 'wizard'"):
        ChatMessage.from_dict({"role": "wizard"})


# --- LangChain -----------------------------------------------------------------------------------------------------


async def test_a_langchain_chat_model_is_asked_as_any_other() -> None:
    fake = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    messages = pytest.importorskip("langchain_core.messages")
    reply = messages.AIMessage(
        content="hello there",
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"finish_reason": "stop", "model_name": "lc-1"},
    )
    model = as_llm(fake.FakeMessagesListChatModel(responses=[reply]))
    request = LLMRequest(
        messages=(
            Message("system", "s"),
            Message("user", "u"),
            Message("assistant", "", (ToolCall("c", "f", "{}"),)),
            Message("tool", "r", tool_call_id="c"),
        )
    )
    answer = await complete(model, request)
    assert (answer.text, answer.model, answer.finish_reason, answer.usage) == (
        "hello there",
        "lc-1",
        "stop",
        Usage(1, 2),
    )


async def test_a_langchain_model_streams() -> None:
    fake = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    model = as_llm(fake.FakeListChatModel(responses=["abc"]))
    pieces = [c.text async for c in model.stream(LLMRequest(prompt="q", streaming=True)) if c.text]
    assert pieces == ["a", "b", "c"]


async def test_a_langchain_model_streams_reasoning_and_tool_calls() -> None:
    fake = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    messages = pytest.importorskip("langchain_core.messages")
    outputs = pytest.importorskip("langchain_core.outputs")

    def piece(**fields: Any) -> Any:
        return outputs.ChatGenerationChunk(message=messages.AIMessageChunk(**{"content": "", **fields}))

    class Thinking(fake.GenericFakeChatModel):  # type: ignore[misc,name-defined]
        def bind_tools(self, tools: Any, **_: Any) -> Any:
            assert [tool["function"]["name"] for tool in tools] == ["look", "go"]
            return self

        def _stream(self, *_: Any, **__: Any) -> Any:
            yield piece(content=[{"type": "thinking", "thinking": "hm"}])
            yield piece(content=[{"type": "text", "text": "so"}])
            first = {"type": "tool_call_chunk", "index": 0, "id": "c1", "name": "look", "args": '{"x"'}
            yield piece(tool_call_chunks=[first])
            rest = {"type": "tool_call_chunk", "index": 0, "id": None, "name": None, "args": ": 1}"}
            whole = {"type": "tool_call_chunk", "index": 1, "id": "c2", "name": "go", "args": "{}"}
            yield piece(tool_call_chunks=[rest, whole])

    model = as_llm(Thinking(messages=iter(())))
    answer = await complete(model, LLMRequest(prompt="q", streaming=True, tools=(Tool("look"), Tool("go"))))
    assert (answer.text, answer.reasoning) == ("so", "hm")
    assert answer.tool_calls == (ToolCall("c1", "look", '{"x": 1}'), ToolCall("c2", "go", "{}"))


async def test_a_langchain_model_is_sent_a_call_with_damaged_arguments() -> None:
    fake = pytest.importorskip("langchain_core.language_models.fake_chat_models")
    model = as_llm(fake.FakeListChatModel(responses=["sorry"]))
    damaged = Message("assistant", "", (ToolCall("c", "f", '{"x":'),))
    request = LLMRequest(messages=(Message("user", "u"), damaged, Message("tool", "r", tool_call_id="c")))
    assert (await complete(model, request)).text == "sorry"


async def test_a_langchain_text_model_is_asked_as_any_other() -> None:
    fake = pytest.importorskip("langchain_core.language_models.fake")
    assert (await complete(as_llm(fake.FakeListLLM(responses=["plain"])), Q)).text == "plain"


@pytest.mark.parametrize("answer", [None, 5])
async def test_a_model_that_answers_with_no_answer_is_named(answer: Any) -> None:
    class Empty:
        model_name, provider_name, provider_url = "empty", "test", None

        async def generate_async(self, prompt: Any, **_given: Any) -> Any:
            return answer

        async def stream_async(self, prompt: Any, **_given: Any) -> AsyncIterator[Any]:
            yield answer

    app = LLMRails(RailsConfig.from_content("", "models: []"), llm=Empty())
    with pytest.raises(
        LLMCallException, match=f"generate_async of Empty gave {answer}; an LLMResponse is due"
    ):
        await app.generate_async(prompt="hi")
