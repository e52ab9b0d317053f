"""What models are sent in a turn, and what callers are told of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from tests.llm.conftest import Reply, Stub

SAID = [{"role": "user", "content": "hello"}]


def opened(stub: Stub, more: str = "") -> LLMRails:
    parameters = json.dumps({"base_url": stub.url, "api_key": "k"})
    model = f"models: [{{type: main, engine: openai, model: gpt-4o-mini, parameters: {parameters}}}]\n"
    return LLMRails(RailsConfig.from_content(yaml_content=model + more))


async def asked(stub: Stub, more: str = "", **given: Any) -> Any:
    app = opened(stub, more)
    try:
        return await app.generate_async(**{"messages": SAID, **given})
    finally:
        await app.aclose()


async def test_a_general_answer_stops_where_the_user_would_speak(stub: Stub) -> None:
    await asked(stub)
    await asked(stub, options={"llm_params": {"stop": ["END"], "temperature": 0.5}})
    await asked(stub, options={"llm_params": {"stop": "END"}})
    await asked(stub, "passthrough: true")
    assert [body.get("stop") for body in stub.requests] == [["User:"], ["END"], ["END"], None]
    assert stub.requests[1]["temperature"] == 0.5
    assert "temperature" not in stub.requests[0]


@pytest.mark.parametrize("kinds", [[], ["generate_user_intent"], ["generate_user_intent", "general"]])
async def test_an_answer_without_intents_is_of_the_model_of_its_task_or_of_the_step_that_asks(
    stub: Stub, kinds: list[str]
) -> None:
    parameters = {"base_url": stub.url, "api_key": "k"}
    models = [
        {"type": kind, "engine": "openai", "model": kind, "parameters": parameters}
        for kind in ["main", *kinds]
    ]
    app = LLMRails(RailsConfig.from_content(yaml_content=json.dumps({"models": models})))
    await app.generate_async(messages=SAID)
    await app.aclose()
    assert [body["model"] for body in stub.requests] == ["main", *kinds][-1:]


async def test_sound_and_files_reach_the_model(stub: Stub) -> None:
    parts = [
        {"type": "text", "text": "what is this"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "file": {"file_id": "f-1"}},
    ]
    for more in ("passthrough: true", ""):
        await asked(stub, more, messages=[{"role": "user", "content": parts}])
    assert [body["messages"][-1]["content"] for body in stub.requests] == [parts, parts]


IMAGE = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
TURNS = [
    {"role": "user", "content": "first"},
    {"role": "user", "content": "second"},
    {"role": "user", "content": [{"type": "text", "text": "third"}, IMAGE]},
    {"role": "user", "content": "fourth"},
]


@pytest.mark.parametrize("saved", [False, True], ids=["messages", "state"])
async def test_an_endpoint_is_sent_the_whole_conversation_turn_after_turn(stub: Stub, saved: bool) -> None:
    app, said, state = opened(stub), list[dict[str, Any]](), {}
    for number, turn in enumerate(TURNS):
        stub.replies.append(Reply(f"answer {number}"))
        said.append(turn)
        if saved:
            response = await app.generate_async(messages=[turn], state=state)
            answer, state = response.response[0], response.state
        else:
            answer = await app.generate_async(messages=said)
        sent = stub.requests[-1]["messages"]
        assert [message for message in sent if message["role"] != "system"] == said
        said.append(answer)
    await app.aclose()


async def test_an_endpoint_is_not_sent_what_a_rail_refused_in_an_earlier_turn(stub: Stub) -> None:
    app, state = opened(stub, REFUSING), {}
    for text in ("good day", "this is forbidden", "and now?"):
        response = await app.generate_async(messages=[{"role": "user", "content": text}], state=state)
        state = response.state
    await app.aclose()
    assert len(stub.requests) == 2
    assert "forbidden" not in json.dumps(stub.requests)
    assert [message["content"] for message in stub.requests[-1]["messages"]][-1] == "and now?"


REFUSING = """rails:
  config: {regex_detection: {input: {patterns: [forbidden]}}}
  input: {flows: [regex check input]}
"""


async def test_callers_are_told_of_the_last_call(stub: Stub) -> None:
    stub.replies = [Reply("hello", headers={"X-Request-Id": "r-77"})]
    response = await asked(stub, options={"log": {"llm_calls": True}})
    assert response.llm_metadata["response_headers"]["x-request-id"] == "r-77"
    call = response.log.llm_calls[0]
    assert (call.llm_model_name, call.llm_provider_name, call.total_tokens) == ("gpt-4o-mini", "openai", 10)


async def test_a_cached_check_is_told_with_the_tokens_it_saved(stub: Stub) -> None:
    stub.replies = [Reply("no"), Reply("hello"), Reply("hello")]
    guard = json.dumps({"base_url": stub.url, "api_key": "k"})
    more = f"""  - {{type: self_check_input, engine: openai, model: g, parameters: {guard}, cache: {{enabled: true}}}}
rails: {{input: {{flows: [self check input]}}}}
prompts: [{{task: self_check_input, content: 'Bad? {{{{ user_input }}}}'}}]
"""
    parameters = json.dumps({"base_url": stub.url, "api_key": "k"})
    main = f"models:\n  - {{type: main, engine: openai, model: m, parameters: {parameters}}}\n"
    app = LLMRails(RailsConfig.from_content(yaml_content=main + more))
    told = []
    for _ in range(2):
        response = await app.generate_async(messages=SAID, options={"log": {"llm_calls": True}})
        told.append([(call.task, call.from_cache, call.total_tokens) for call in response.log.llm_calls])
    await app.aclose()
    assert told == [
        [("self_check_input", False, 10), ("general", False, 10)],
        [("self_check_input", True, 10), ("general", False, 10)],
    ]
