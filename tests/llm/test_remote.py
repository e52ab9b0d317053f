"""Calls of a remote model: what is sent, what comes back, and many at once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from rails_engine.llm import (
    ChatMessage,
    Choice,
    ImagePart,
    JsonSchema,
    LLMRequest,
    Message,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    Usage,
    complete,
    message_of,
    public_message,
    public_model,
    text_of,
)
from tests.llm.conftest import HELLO, MakeModels, Reply, Stub, ask, pieces


async def test_an_answer_comes_with_its_usage_and_names(stub: Stub, models: MakeModels) -> None:
    answer = await ask(models)
    assert (answer.text, answer.finish_reason, answer.model, answer.request_id) == (
        "hello",
        "stop",
        "m-1",
        "r1",
    )
    assert answer.usage == Usage(7, 3, 2, 4)
    (sent,) = stub.requests
    assert not sent.pop("stream", False)
    assert sent == {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    assert stub.headers[0]["authorization"] == "Bearer k-1"
    assert stub.paths == ["/v1/chat/completions"]


async def test_a_streamed_answer_comes_in_pieces_and_ends_with_its_usage(
    stub: Stub, models: MakeModels
) -> None:
    chunks = await pieces(models, LLMRequest(prompt="hi", streaming=True))
    assert [chunk.text for chunk in chunks if chunk.text] == list("hello")
    assert chunks[-1].usage == Usage(7, 3, 2, 4)
    assert stub.requests[0]["stream"] is True


async def test_half_a_character_is_replaced_and_two_halves_are_one(stub: Stub, models: MakeModels) -> None:
    written = b'{"choices": [{"message": {"content": "a\\ud83d b\\ud83d\\ude00 \\ude00 \xc3\xa9", "reasoning": "\\ud83d"}}]}'
    stub.replies = [Reply(raw=written)]
    answer = await ask(models)
    assert (answer.text, answer.reasoning) == ("a\ufffd b\U0001f600 \ufffd \xe9", "\ufffd")


async def test_parameters_are_sent_and_the_request_wins(stub: Stub, models: MakeModels) -> None:
    request = LLMRequest(
        prompt="q", sampling=Sampling(temperature=0.6, stop=("User:",), seed=3, top_k=5), extra={"user": "u"}
    )
    await ask(models, request, temperature=0.25, max_tokens=64, top_p=0.5, extra_body={"min_p": 0.1})
    sent = stub.requests[0]
    assert {name: sent.get(name) for name in ("temperature", "max_tokens", "top_p", "seed", "user", "min_p")} == {
        "temperature": 0.6, "max_tokens": 64, "top_p": 0.5, "seed": 3, "user": "u", "min_p": 0.1,
    }  # fmt: skip
    assert sent["stop"] == ["User:"]
    assert not {"base_url", "api_key", "max_retries", "transport"} & set(sent)


async def test_headers_and_query_of_the_configuration_are_sent(stub: Stub, models: MakeModels) -> None:
    await ask(models, default_headers={"X-Team": "blue"}, default_query={"v": "1"}, organization="org-1")
    assert stub.headers[0]["x-team"] == "blue"
    assert stub.headers[0]["openai-organization"] == "org-1"
    assert stub.paths == ["/v1/chat/completions?v=1"]


async def test_messages_of_every_kind_are_sent_in_the_words_of_the_endpoint(
    stub: Stub, models: MakeModels
) -> None:
    call = ToolCall("c1", "look", '{"x": 1}')
    await ask(
        models,
        LLMRequest(
            messages=(
                Message("system", "be brief"),
                Message("user", (TextPart("what is this"), ImagePart("data:image/png;base64,AA", "low"))),
                Message("assistant", "", (call,)),
                Message("tool", "42", tool_call_id="c1"),
            ),
            tools=(Tool("look", "looks", {"type": "object"}, strict=True),),
            tool_choice="auto",
        ),
    )
    sent = stub.requests[0]
    assert [message["role"] for message in sent["messages"]] == ["system", "user", "assistant", "tool"]
    assert sent["messages"][1]["content"][1]["image_url"] == {
        "url": "data:image/png;base64,AA",
        "detail": "low",
    }
    assert sent["messages"][2]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"x": 1}'}
    assert sent["messages"][3] == {"role": "tool", "content": "42", "tool_call_id": "c1"}
    assert sent["tools"][0]["function"]["strict"] is True


async def test_parts_of_every_kind_arrive_as_they_were_given(stub: Stub, models: MakeModels) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "text", "text": "listen"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}},
        {"type": "video_url", "video_url": {"url": "https://h/v.mp4"}},
        {"type": "image_url", "image_url": {"url": "https://h/i.png"}},
        {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}},
    ]
    model = public_model(models()["main"])
    message = ChatMessage(Role.USER, parts)
    await model.generate_async([message])
    assert stub.requests[0]["messages"] == [{"role": "user", "content": parts}]
    assert [public_message(message_of(message)).content] == [parts]
    assert text_of(message_of(message)) == "listenlong"


async def test_a_model_says_where_it_is_and_what_its_server_told(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("hello", headers={"X-Request-Id": "r-77"})]
    model = public_model(models()["main"])
    assert model.provider_url == stub.url
    metadata = (await model.generate_async("hi")).provider_metadata
    assert metadata is not None
    assert metadata["response_headers"]["x-request-id"] == "r-77"
    assert json.loads(json.dumps(metadata)) == metadata
    async for piece in model.stream_async("hi"):
        assert (piece.provider_metadata or {})["response_headers"]["content-type"].startswith(
            "text/event-stream"
        )


async def test_users_get_streamed_tool_calls_once_they_are_whole(stub: Stub, models: MakeModels) -> None:
    pieces = [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
        {"index": 1, "id": "c2", "function": {"name": "go", "arguments": "{}"}},
    ]
    stub.replies = [Reply(pieces=[{"tool_calls": [piece]} for piece in pieces])]
    stream = public_model(models()["main"]).stream_async("hi")
    told = [chunk.delta_tool_calls async for chunk in stream if chunk.delta_tool_calls]
    assert [[(call.id, call.function.name, call.function.arguments) for call in calls] for calls in told] == [
        [("c1", "look", {"x": 1}), ("c2", "go", {})]
    ]


async def test_tool_calls_come_back_whole(stub: Stub, models: MakeModels) -> None:
    first = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"x"'}}
    rest = {"index": 0, "function": {"arguments": ": 1}"}}
    stub.replies = [Reply(pieces=[{"tool_calls": [first]}, {"tool_calls": [rest]}])]
    answer = await ask(models, LLMRequest(prompt="q", streaming=True))
    assert answer.tool_calls == (ToolCall("c1", "look", '{"x": 1}'),)


async def test_reasoning_is_told_apart(stub: Stub, models: MakeModels) -> None:
    stub.replies = [
        Reply("<think>let me see</think>\n\nfour"),
        Reply("five", message={"reasoning_content": "hm"}),
    ]
    model = models()["main"]
    first, second = await complete(model, HELLO), await complete(model, HELLO)
    assert (first.text, first.reasoning) == ("four", "let me see")
    assert (second.text, second.reasoning) == ("five", "hm")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        {"content": "five", "reasoning_content": "hm"},
        {"content": "five", "reasoning": "hm"},
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "text", "text": "five"},
            ]
        },
        {"content": "<think>hm</think>five"},
    ],
)
async def test_reasoning_is_read_under_each_of_its_names(
    stub: Stub, models: MakeModels, said: dict[str, Any], *, streaming: bool
) -> None:
    stub.replies = [Reply(message=said, pieces=[said])]
    answer = await ask(models, LLMRequest(prompt="q", streaming=streaming))
    assert (answer.text, answer.reasoning) == ("five", "hm")


async def test_streamed_reasoning_is_told_apart(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("<think>let me see</think>\n\nfour")]
    answer = await ask(models, LLMRequest(prompt="q", streaming=True))
    assert (answer.text, answer.reasoning) == ("four", "let me see")


async def test_log_probabilities_are_asked_for_and_read(stub: Stub, models: MakeModels) -> None:
    logprobs = {
        "content": [{"token": "no", "logprob": -0.1, "top_logprobs": [{"token": "yes", "logprob": -2.5}]}]
    }
    choice = {"message": {"content": "no"}, "logprobs": logprobs}
    stub.replies = [
        Reply(raw=json.dumps({"choices": [choice]}).encode(), headers={"Content-Type": "application/json"})
    ]
    answer = await ask(models, LLMRequest(prompt="q", sampling=Sampling(logprobs=1)))
    assert (stub.requests[0]["logprobs"], stub.requests[0]["top_logprobs"]) == (True, 1)
    assert answer.logprobs[0].top == (("yes", -2.5),)


async def test_text_mode_asks_for_a_completion(stub: Stub, models: MakeModels) -> None:
    answer = await complete(
        models(entry={"mode": "text"})["main"], LLMRequest(messages=(Message("user", "hi"),))
    )
    assert answer.text == "hello"
    assert stub.paths == ["/v1/completions"]
    assert stub.requests[0]["prompt"] == "user: hi\nassistant:"


@pytest.mark.parametrize("name", ["o3-mini", "gpt-5", "gpt-5-nano"])
async def test_reasoning_models_take_other_parameters(stub: Stub, models: MakeModels, name: str) -> None:
    request = LLMRequest(prompt="q", sampling=Sampling(temperature=0.1, stop=("x",), max_tokens=9))
    await complete(models(entry={"model": name})["main"], request)
    assert stub.requests[0]["max_completion_tokens"] == 9
    assert not {"temperature", "stop", "max_tokens"} & set(stub.requests[0])


async def test_constraints_in_the_words_of_the_endpoint(stub: Stub, models: MakeModels) -> None:
    yes_no = LLMRequest(prompt="q", constraint=Choice(("yes", "no")))
    for engine in ("vllm", "nim", "openai"):
        await complete(models(entry={"engine": engine})["main"], yes_no)
    assert stub.requests[0]["guided_choice"] == ["yes", "no"]
    assert stub.requests[1]["nvext"] == {"guided_choice": ["yes", "no"]}
    assert "guided_choice" not in stub.requests[2]
    await ask(models, LLMRequest(prompt="q", constraint=JsonSchema('{"type": "object"}')))
    assert stub.requests[3]["response_format"]["json_schema"]["schema"] == {"type": "object"}


# --- many at once --------------------------------------------------------------------------------------------------


async def test_a_limit_on_calls_at_once(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("ok", delay_s=0.02)]
    model = models(max_concurrency=2)["main"]
    answers = await asyncio.gather(*(complete(model, HELLO) for _ in range(6)))
    assert [answer.text for answer in answers] == ["ok"] * 6
    assert stub.most_open <= 2


async def test_a_cached_model_is_asked_once(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("ok", delay_s=0.02)]
    model = models(entry={"cache": {"enabled": True}})["main"]
    answers = await asyncio.gather(*(complete(model, HELLO) for _ in range(4)))
    again = await complete(model, HELLO)
    assert {answer.text for answer in (*answers, again)} == {"ok"}
    assert len(stub.requests) == 1
    assert again.cached


async def test_leaving_a_stream_closes_the_connection(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("word " * 1000, piece_delay_s=0.01)]
    stream = models()["main"].stream(LLMRequest(prompt="q", streaming=True))
    async for _ in stream:
        break
    await stream.aclose()  # type: ignore[attr-defined]
    for _ in range(200):
        if stub.open_now == 0:
            break
        await asyncio.sleep(0.01)
    assert stub.open_now == 0
