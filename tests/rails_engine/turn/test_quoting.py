"""Users' models are handed the messages of a long conversation turn after turn, and may do with them what they like."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.types import ChatMessage, LLMResponse, Role
from rails_engine.llm import FakeLLMModel

TURNS = 12


class Meddling(FakeLLMModel):
    """Changes what it is handed, after it has noted it down."""

    def __init__(self, change: Callable[[list[ChatMessage]], object]) -> None:
        super().__init__(responses=[f"answer {number}" for number in range(2 * TURNS)])
        self.change = change
        self.seen: list[list[tuple[str, Any, dict[str, Any]]]] = []

    async def generate_async(self, prompt: Any, **given: Any) -> LLMResponse:
        self.seen.append([(each.role.value, each.content, dict(each.provider_metadata)) for each in prompt])
        self.change(prompt)
        await asyncio.sleep(0)
        return await super().generate_async(prompt, **given)


def first_user(prompt: list[ChatMessage]) -> ChatMessage:
    return next(message for message in prompt if message.role is Role.USER)


def rename(prompt: list[ChatMessage]) -> None:
    first_user(prompt).role = Role.TOOL


def write_over(prompt: list[ChatMessage]) -> None:
    for message in prompt:
        message.content = f"{message.content}, changed"


def note(prompt: list[ChatMessage]) -> None:
    first_user(prompt).provider_metadata["cache_control"] = "ephemeral"


def replace_notes(prompt: list[ChatMessage]) -> None:
    first_user(prompt).provider_metadata = {"cache_control": "ephemeral"}


CHANGES = [write_over, rename, note, replace_notes, list.clear, list.reverse]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("saved", [False, True], ids=["messages", "state"])
async def test_what_a_model_does_to_a_prompt_is_gone_with_the_next_call(
    change: Callable[[list[ChatMessage]], object], saved: bool
) -> None:
    model = Meddling(change)
    rails = LLMRails(RailsConfig.from_content(yaml_content="models: []"), llm=model)
    messages: list[dict[str, Any]] = []
    state: Any = {}
    for number in range(TURNS):
        messages.append({"role": "user", "content": f"question {number}"})
        if saved:
            response = await rails.generate_async(messages=messages[-1:], state=state)
            state, answer = response.state, response.response[0]
        else:
            answer = await rails.generate_async(messages=messages)
        asked = [(role, content) for role, content, _ in model.seen[-1] if role != "system"]
        assert asked == [(each["role"], each["content"]) for each in messages]
        assert not any(metadata for _, _, metadata in model.seen[-1])
        messages.append(dict(answer))


async def test_two_turns_that_go_on_from_one_conversation_share_no_message() -> None:
    model = Meddling(write_over)
    rails = LLMRails(RailsConfig.from_content(yaml_content="models: []"), llm=model)
    past = [{"role": "user", "content": "hi"}]
    past.append(await rails.generate_async(messages=past))
    ways = [[*past, {"role": "user", "content": way}] for way in ("left", "right", "on")]
    await asyncio.gather(*(rails.generate_async(messages=way) for way in ways))
    for seen, way in zip(model.seen[1:], ways, strict=True):
        assert [content for role, content, _ in seen if role != "system"] == [each["content"] for each in way]


async def test_messages_that_are_handed_out_again_are_messages_like_any() -> None:
    prompts: list[list[ChatMessage]] = []
    rails = LLMRails(RailsConfig.from_content(yaml_content="models: []"), llm=Meddling(prompts.append))
    messages: list[dict[str, Any]] = []
    for number in range(3):
        messages.append({"role": "user", "content": f"question {number}"})
        messages.append(await rails.generate_async(messages=messages))
    said = next(message for message in prompts[-1] if message.role is Role.USER)
    alike = ChatMessage(Role.USER, "question 0")
    assert said == alike
    assert alike == said
    assert repr(said) == repr(alike)
    assert isinstance(said, ChatMessage)
    assert said.to_dict() == alike.to_dict()
    assert type(copy.deepcopy(said)) is ChatMessage
    said.name = "Ann"
    assert type(said) is ChatMessage
    assert said != alike


def in_place(state: dict[str, Any]) -> dict[str, Any]:
    """The caller's own state, with another text in an older turn."""
    said = next(event for event in state["events"] if event["type"] == "UserMessage")
    said["text"] = "something else"
    return state


def in_a_copy(state: dict[str, Any]) -> dict[str, Any]:
    return in_place(json.loads(json.dumps(state)))


def shortened(state: dict[str, Any]) -> dict[str, Any]:
    """Without the first turn."""
    turns = [place for place, event in enumerate(state["events"]) if event["type"] == "UserMessage"]
    return {"events": state["events"][turns[1] - 1 :]}


@pytest.mark.parametrize(
    ("change", "quoted"),
    [
        (copy.deepcopy, ["question 0", "question 1", "question 2"]),
        (dict, ["question 0", "question 1", "question 2"]),
        (in_place, ["something else", "question 1", "question 2"]),
        (in_a_copy, ["something else", "question 1", "question 2"]),
        (shortened, ["question 1", "question 2"]),
    ],
)
async def test_a_saved_conversation_is_quoted_as_its_caller_brings_it(
    change: Callable[[dict[str, Any]], dict[str, Any]], quoted: list[str]
) -> None:
    model = Meddling(len)
    rails = LLMRails(RailsConfig.from_content(yaml_content="models: []"), llm=model)
    state: Any = {}
    for number in range(3):
        messages = [{"role": "user", "content": f"question {number}"}]
        state = (await rails.generate_async(messages=messages, state=state)).state
    state = change(state)
    for text in ("left", "right"):
        await rails.generate_async(messages=[{"role": "user", "content": text}], state=state)
        assert [said for role, said, _ in model.seen[-1] if role == "user"] == [*quoted, text]


async def test_a_saved_conversation_brings_parts_along() -> None:
    model = Meddling(len)
    config = RailsConfig.from_content(yaml_content="models: []\nrails: {input: {allow_images: true}}")
    rails = LLMRails(config, llm=model)
    image = {"type": "image_url", "image_url": {"url": "data:,x"}}
    state: Any = {}
    for content in ([{"type": "text", "text": "look"}, image], "again"):
        messages = [{"role": "user", "content": content}]
        state = (await rails.generate_async(messages=messages, state=state)).state
    for text in ("see", "behold"):
        shown = next(event for event in state["events"] if isinstance(event.get("text"), list))
        shown["text"][0]["text"] = text
        messages = [{"role": "user", "content": "and again"}]
        await rails.generate_async(messages=messages, state=state)
        said = [content for role, content, _ in model.seen[-1] if role == "user"]
        assert said == [[{"type": "text", "text": text}, image], "again", "and again"]
