"""`llm_call`: how users' actions ask a model, whatever kind of model they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from rails_engine.context import (
    llm_call_info_var,
    llm_response_metadata_var,
    reasoning_trace_var,
    tool_calls_var,
)
from rails_engine.error_boundary import ErrorBoundary
from rails_engine.errors import ConfigurationError, LLMCallException
from rails_engine.llm.adapt import as_llm
from rails_engine.llm.answer import Gathering
from rails_engine.llm.base import LLM, LLMRequest
from rails_engine.llm.public import ChatMessage, LLMResponse
from rails_engine.llm.shapes import request_of, response_of
from rails_engine.llm.streams import Reading


class Receiver(Protocol):
    """Takes the pieces of an answer as they come, such as a `StreamingHandler`."""

    async def push_chunk(self, chunk: Any) -> None:
        """A piece of the text."""

    async def finish(self) -> None:
        """No piece follows."""


async def llm_call(  # noqa: PLR0913, PLR0917 - the public signature that users call
    llm: Any,
    prompt: str | Sequence[ChatMessage | Mapping[str, Any]],
    model_name: str | None = None,
    model_provider: str | None = None,
    stop: list[str] | None = None,
    llm_params: Mapping[str, Any] | None = None,
    streaming_handler: Receiver | None = None,
) -> LLMResponse:
    """The model's answer to a text or to messages. With a handler its pieces are pushed as they come.

    Raises:
        LLMCallException: there is no model, or it failed; `inner_exception` is the cause.
    """
    if llm is None:
        raise LLMCallException("no model was given to llm_call", detail=model_name or model_provider)
    messages = prompt if isinstance(prompt, str) else [_role_first(message) for message in prompt]
    info = llm_call_info_var.get()
    request = replace(request_of(messages, stop, llm_params or {}), task=info.task if info else None)
    with ErrorBoundary(LLMCallException, passing=(LLMCallException, ConfigurationError)):
        response = await _answer(as_llm(llm), request, streaming_handler)
    reasoning_trace_var.set(response.reasoning)
    tool_calls_var.set([call.to_dict() for call in response.tool_calls] if response.tool_calls else None)
    llm_response_metadata_var.set(response.provider_metadata)
    return response


def _role_first(message: ChatMessage | Mapping[str, Any]) -> ChatMessage | Mapping[str, Any]:
    """Prompts name the role `type`."""
    if isinstance(message, ChatMessage) or "role" in message:
        return message
    return {**message, "role": message.get("type")}


async def _answer(llm: LLM, request: LLMRequest, receiver: Receiver | None) -> LLMResponse:
    gathering = Gathering()
    request = replace(request, streaming=True) if receiver else request
    async with Reading(llm.stream(request)) as chunks:
        async for chunk in chunks:
            gathering.add(chunk)
            if receiver and chunk.text:
                await receiver.push_chunk(chunk.text)
    if receiver:
        await receiver.finish()
    return response_of(gathering.result())
