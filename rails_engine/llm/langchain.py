"""LangChain models as LLMs of ours. `langchain_core` is imported only once such a model has arrived."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from rails_engine.llm.base import Chunk, LLMRequest, Message, ToolCallFragment, Usage
from rails_engine.llm.shapes import public_call
from rails_engine.llm.streams import Reading
from rails_engine.llm.think import parted
from rails_engine.llm.wire import content_field, tool_field

_NAMES = ("model_name", "model", "model_id", "deployment_name")


class LangChainModel:
    """Implements `LLM` on a LangChain chat model or text model."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def model_name(self) -> str:
        """See `LLM.model_name`."""
        return next((str(name) for key in _NAMES if (name := getattr(self.model, key, None))), "")

    @property
    def provider_name(self) -> str:
        """See `LLM.provider_name`."""
        return str(getattr(self.model, "_llm_type", "langchain"))

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`; what the LangChain model raises goes through unchanged."""
        async with Reading(parted(self._chunks(request), streaming=request.streaming)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _chunks(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        model, given, kwargs = self._bound(request), _input(request), _kwargs(request)
        if not request.streaming:
            yield _chunk(await model.ainvoke(given, **kwargs))
            return
        async with Reading(model.astream(given, **kwargs)) as pieces:
            async for piece in pieces:
                yield _chunk(piece)

    def _bound(self, request: LLMRequest) -> Any:
        if not request.tools:
            return self.model
        return self.model.bind_tools(
            [tool_field(tool) for tool in request.tools], tool_choice=request.tool_choice
        )


def _kwargs(request: LLMRequest) -> dict[str, Any]:
    sampling = request.sampling
    named = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "response_format": request.response_format,
    }
    return {**{name: value for name, value in named.items() if value is not None}, **request.extra}


def _input(request: LLMRequest) -> str | list[Any]:
    if request.prompt is not None:
        return request.prompt
    return [_message(message) for message in request.messages]


def _message(message: Message) -> Any:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    content: Any = content_field(message) or ""
    if message.role == "tool":
        return ToolMessage(content=content, tool_call_id=message.tool_call_id or "")
    if message.role == "assistant":
        calls = [
            {"id": call.id, "name": call.name, "args": public_call(call).function.arguments}
            for call in message.tool_calls
        ]
        return AIMessage(content=content, tool_calls=calls)
    return (HumanMessage if message.role == "user" else SystemMessage)(content=content)


def _chunk(answer: Any) -> Chunk:
    """A message, a message chunk, or the plain text of a text model."""
    if isinstance(answer, str):
        return Chunk(text=answer)
    metadata = getattr(answer, "response_metadata", None) or {}
    further = getattr(answer, "additional_kwargs", None) or {}
    return Chunk(
        text=_text(answer.content),
        reasoning=further.get("reasoning_content") or _reasoning(answer.content),
        tool_calls=_calls(answer),
        finish_reason=metadata.get("finish_reason") or metadata.get("stop_reason"),
        usage=_usage(getattr(answer, "usage_metadata", None)),
        model=metadata.get("model_name") or metadata.get("model"),
        request_id=getattr(answer, "id", None),
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content or ())


def _reasoning(content: Any) -> str:
    """What stands in blocks of `thinking` (Anthropic) or `reasoning` (LangChain's own)."""
    blocks = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    return "".join(str(block.get("thinking") or block.get("reasoning") or "") for block in blocks)


def _calls(answer: Any) -> tuple[ToolCallFragment, ...]:
    pieces = getattr(answer, "tool_call_chunks", None)
    if pieces:
        return tuple(
            ToolCallFragment(_index(piece, i), piece.get("id"), piece.get("name"), piece.get("args") or "")
            for i, piece in enumerate(pieces)
        )
    calls = getattr(answer, "tool_calls", None) or ()
    return tuple(
        ToolCallFragment(i, call.get("id"), call.get("name"), json.dumps(call.get("args") or {}))
        for i, call in enumerate(calls)
    )


def _index(piece: Mapping[str, Any], place: int) -> int:
    """Which call a piece belongs to; models that send whole calls may leave it out."""
    index = piece.get("index")
    return index if isinstance(index, int) else place


def _usage(data: Mapping[str, Any] | None) -> Usage | None:
    if not data:
        return None
    return Usage(
        data.get("input_tokens") or 0,
        data.get("output_tokens") or 0,
        (data.get("output_token_details") or {}).get("reasoning") or 0,
        (data.get("input_token_details") or {}).get("cache_read") or 0,
    )
