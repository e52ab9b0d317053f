"""LangChain's messages as messages of ours, and answers of ours as messages of LangChain's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
    ToolMessage,
    convert_to_messages,
)

from rails_engine.content_parts import text_in
from rails_engine.response import GenerationResponse, LLMCallInfo
from rails_engine.streaming import Frame

PlainMessage = dict[str, Any]

_ROLES: Final[Mapping[type[BaseMessage], str]] = {
    HumanMessage: "user",
    AIMessage: "assistant",
    SystemMessage: "system",
    ToolMessage: "tool",
    FunctionMessage: "function",
}


def plain_messages(messages: Iterable[Any]) -> list[PlainMessage]:
    """Whatever LangChain takes for messages (its own, dictionaries, pairs) as messages of ours.

    Raises:
        ValueError: one of them is no message.
    """
    return [plain_message(message) for message in as_messages(messages)]


def as_messages(messages: Iterable[Any]) -> list[BaseMessage]:
    """Whatever LangChain takes for messages as its messages.

    Raises:
        ValueError: one of them is no message.
    """
    try:
        return convert_to_messages(list(messages))
    except NotImplementedError as error:
        raise ValueError(str(error)) from error


def plain_message(message: BaseMessage) -> PlainMessage:
    """A message of LangChain's as one of ours.

    Raises:
        ValueError: it says nothing, such as the order to remove another one.
    """
    role = message.role if isinstance(message, ChatMessage) else _role(message)
    plain: PlainMessage = {"role": role, "content": message.content}
    if isinstance(message, AIMessage):
        plain["content"] = text_in(message.content)
        calls = [*map(_call, message.tool_calls), *map(_call, message.invalid_tool_calls)]
        if calls:
            plain["tool_calls"] = calls
    if isinstance(message, ToolMessage):
        plain["tool_call_id"] = message.tool_call_id
    if message.name:
        plain["name"] = message.name
    return plain


def _role(message: BaseMessage) -> str:
    role = next((role for kind, role in _ROLES.items() if isinstance(message, kind)), None)
    if role is None:
        raise ValueError(f"a message of type {type(message).__name__} says nothing to a model")
    return role


def _call(call: ToolCall | InvalidToolCall) -> dict[str, Any]:
    function = {"name": call["name"], "arguments": call["args"]}
    return {"id": call.get("id"), "type": "function", "function": function}


def ai_message(text: str, response: GenerationResponse, call: LLMCallInfo | None) -> AIMessage:
    """An answer; `call` is the model call that it came from, None where a rail or a flow wrote it.

    What the model thought on the way to words that nobody gets is not given out either.
    """
    thought = response.reasoning_content if call is not None else None
    further = {"reasoning_content": thought} if thought else {}
    told = dict(response.llm_metadata or {}) if call is not None else {}
    if call is not None and call.llm_model_name:
        told.setdefault("model_name", call.llm_model_name)
    message = AIMessage(
        content=text,
        tool_calls=[_their_call(call) for call in response.tool_calls or ()],
        additional_kwargs=further,
        response_metadata=told,
    )
    if call is not None and call.total_tokens:
        message.usage_metadata = {
            "input_tokens": call.prompt_tokens or 0,
            "output_tokens": call.completion_tokens or 0,
            "total_tokens": call.total_tokens,
        }
    return message


def ai_chunk(frame: Frame) -> AIMessageChunk:
    """A piece of an answer with what stands beside it."""
    told = frame.metadata
    thought = told.get("reasoning_content")
    chunk = AIMessageChunk(
        content=frame.text,
        tool_calls=[_their_call(call) for call in told.get("tool_calls") or ()],
        additional_kwargs={"reasoning_content": thought} if thought else {},
    )
    chunk.usage_metadata = told.get("usage")
    return chunk


def _their_call(call: Mapping[str, Any]) -> Any:
    function = call.get("function") or {}
    return {
        "id": call.get("id"),
        "name": function.get("name") or "",
        "args": _arguments(function.get("arguments")),
        "type": "tool_call",
    }


def _arguments(given: Any) -> dict[str, Any]:
    """Arguments as data; what a model wrote that is no JSON object stands under `__raw__`, as LangChain's models have it."""
    if isinstance(given, str):
        try:
            given = json.loads(given or "{}")
        except ValueError:
            return {"__raw__": given}
    return dict(given) if isinstance(given, Mapping) else {"__raw__": given}


def with_last_user_text(messages: Sequence[BaseMessage], text: str) -> list[BaseMessage]:
    """The messages with another text in the last one of the user's."""
    changed = list(messages)
    for place in range(len(changed) - 1, -1, -1):
        if isinstance(changed[place], HumanMessage):
            changed[place] = changed[place].model_copy(update={"content": text})
            break
    return changed
