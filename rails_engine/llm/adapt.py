"""Between the public model protocol and ours, both ways."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

from rails_engine.errors import ModelInitializationError
from rails_engine.llm.answer import Completion, complete, completion_of
from rails_engine.llm.base import (
    LLM,
    NO_SAMPLING,
    Chunk,
    Content,
    ImagePart,
    LLMRequest,
    Message,
    Role,
    Sampling,
    TextPart,
    Tool,
    ToolCall,
    ToolCallFragment,
    Usage,
)
from rails_engine.llm.public import (
    ChatMessage,
    FinishReason,
    LLMModel,
    LLMResponse,
    LLMResponseChunk,
    Prompt,
    ToolCallFunction,
    UsageInfo,
)
from rails_engine.llm.public import Role as PublicRole
from rails_engine.llm.public import ToolCall as PublicToolCall
from rails_engine.llm.streams import Reading
from rails_engine.llm.think import parted, undivided

_SAMPLING = {field.name for field in fields(Sampling)}
_KNOWN = ("tool_choice", "response_format", "streaming")
_NAMED = frozenset({*_KNOWN, "tools"})
_PLAIN = frozenset({"role", "content"})
_PLAIN_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_FINISH = ("stop", "length", "tool_calls", "content_filter", "error")


class PublicModel:
    """An `LLM` of ours as users' code sees it: implements `LLMModel`."""

    def __init__(self, llm: LLM, provider_url: str | None = None) -> None:
        self.llm = llm
        self._provider_url = provider_url

    @property
    def model_name(self) -> str:
        return self.llm.model_name

    @property
    def provider_name(self) -> str:
        return self.llm.provider_name

    @property
    def provider_url(self) -> str | None:
        return self._provider_url

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        return response_of(await complete(self.llm, request_of(prompt, stop, kwargs)))

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        request = request_of(prompt, stop, {**kwargs, "streaming": True})
        async with Reading(self.llm.stream(request)) as chunks:
            async for chunk in chunks:
                yield public_chunk_of(chunk)


class UserModel:
    """A user's `LLMModel` as an `LLM` of ours."""

    def __init__(self, model: LLMModel) -> None:
        self.model = model

    @property
    def model_name(self) -> str:
        return self.model.model_name or ""

    @property
    def provider_name(self) -> str:
        return self.model.provider_name or ""

    async def stream(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        """See `LLM.stream`; what the user's model raises goes through unchanged."""
        async with Reading(parted(self._chunks(request), streaming=request.streaming)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def complete(self, request: LLMRequest) -> Completion:
        """See `Completing.complete`."""
        return completion_of(undivided(await self._whole(request)))

    async def _whole(self, request: LLMRequest) -> Chunk:
        prompt, stop, kwargs = call_of(request)
        return chunk_of_response(await self.model.generate_async(prompt, stop=stop, **kwargs))

    async def _chunks(self, request: LLMRequest) -> AsyncIterator[Chunk]:
        if not request.streaming:
            yield await self._whole(request)
            return
        prompt, stop, kwargs = call_of(request)
        async with Reading(self.model.stream_async(prompt, stop=stop, **kwargs)) as pieces:
            async for piece in pieces:
                yield chunk_of_piece(piece)


def public_model(llm: LLM) -> LLMModel:
    """What an action gets for `llm`: the user's own object where there is one."""
    return llm.model if isinstance(llm, UserModel) else PublicModel(llm)


def as_llm(model: object) -> LLM:
    """Any model object a user may pass, as an `LLM`.

    Raises:
        ModelInitializationError: it has none of the protocols known here.
    """
    if isinstance(model, PublicModel):
        return model.llm
    if hasattr(model, "generate_async") and hasattr(model, "stream_async"):
        return UserModel(cast("LLMModel", model))
    if hasattr(model, "ainvoke"):
        from rails_engine.llm.langchain import LangChainModel

        return LangChainModel(model)
    if hasattr(model, "stream") and hasattr(model, "model_name"):
        return cast("LLM", model)
    raise ModelInitializationError(
        f"{type(model).__name__} is no model: it needs `generate_async` and `stream_async` (LLMModel), "
        "or `ainvoke` (LangChain)"
    )


# --- requests ------------------------------------------------------------------------------------------------------


def request_of(
    prompt: str | Sequence[ChatMessage | Message | Mapping[str, Any]],
    stop: list[str] | None,
    given: Mapping[str, Any],
) -> LLMRequest:
    """A request from the arguments of a public call; unknown arguments become body fields."""
    text = prompt if isinstance(prompt, str) else None
    messages = () if isinstance(prompt, str) else tuple([message_of(message) for message in prompt])
    if not given:
        sampling = Sampling(stop=tuple(stop)) if stop else NO_SAMPLING
        return LLMRequest(messages=messages, prompt=text, sampling=sampling)
    known = {name: given[name] for name in _KNOWN if name in given}
    return LLMRequest(
        messages=messages,
        prompt=text,
        sampling=_sampling(stop, given),
        tools=tuple(tool_of(tool) for tool in given.get("tools") or ()),
        extra={name: value for name, value in given.items() if name not in _NAMED and name not in _SAMPLING},
        **known,
    )


def _sampling(stop: list[str] | None, given: Mapping[str, Any]) -> Sampling:
    values = {name: value for name, value in given.items() if name in _SAMPLING and value is not None}
    stops = tuple(stop or values.pop("stop", None) or ())
    return Sampling(**{**values, "stop": stops})


def message_of(message: ChatMessage | Message | Mapping[str, Any]) -> Message:
    """A message of ours, from a public one or from its dictionary where it is not one."""
    if isinstance(message, Message):
        return message
    if isinstance(message, dict) and message.keys() == _PLAIN and isinstance(message["content"], str):
        # Most messages of a long history have nothing but a role and a text.
        plain: Role | None = _PLAIN_ROLES.get(message["role"])
        if plain is not None:
            return Message(plain, message["content"])
    public = message if isinstance(message, ChatMessage) else ChatMessage.from_dict(dict(message))
    role: Role = public.role.value
    if not public.tool_calls and not isinstance(public.content, list):
        return Message(role, public.content or "", (), public.tool_call_id, public.name)
    calls = tuple(
        ToolCall(call.id, call.function.name, json.dumps(call.function.arguments))
        for call in public.tool_calls or ()
    )
    return Message(role, content_of(public.content), calls, public.tool_call_id, public.name)


def content_of(content: str | list[dict[str, Any]] | None) -> Content:
    """Text, or the text and image parts of a multimodal message."""
    if not isinstance(content, list):
        return content or ""
    parts: list[TextPart | ImagePart] = []
    for part in content:
        image = part.get("image_url")
        if image is not None:
            image = image if isinstance(image, dict) else {"url": image}
            parts.append(ImagePart(image["url"], image.get("detail")))
        else:
            parts.append(TextPart(str(part.get("text", ""))))
    return tuple(parts)


def tool_of(tool: Mapping[str, Any]) -> Tool:
    """A tool from the shape of the OpenAI API, nested or flat."""
    function = tool.get("function") or tool
    return Tool(
        function.get("name", ""),
        function.get("description") or "",
        function.get("parameters") or {},
        function.get("strict"),
    )


def call_of(request: LLMRequest) -> tuple[Prompt, list[str] | None, dict[str, Any]]:
    """The arguments of a public call for a request of ours."""
    from rails_engine.llm.wire import tool_field

    sampling = {name: getattr(request.sampling, name) for name in _SAMPLING if name != "stop"}
    kwargs: dict[str, Any] = {name: value for name, value in sampling.items() if value is not None}
    if request.tools:
        kwargs["tools"] = [tool_field(tool) for tool in request.tools]
    if request.tool_choice is not None:
        kwargs["tool_choice"] = request.tool_choice
    if request.response_format is not None:
        kwargs["response_format"] = request.response_format
    prompt: Prompt = (
        request.prompt if request.prompt is not None else [public_message(m) for m in request.messages]
    )
    return prompt, list(request.sampling.stop) or None, {**kwargs, **request.extra}


_PUBLIC_ROLES = {**{role.value: role for role in PublicRole}, "developer": PublicRole.SYSTEM}


def public_message(message: Message) -> ChatMessage:
    from rails_engine.llm.wire import content_field

    role = _PUBLIC_ROLES[message.role]
    if isinstance(message.content, str) and not message.tool_calls and message.tool_call_id is None:
        return ChatMessage(role, message.content, name=message.name)
    content = message.content if isinstance(message.content, str) else content_field(message)
    calls = [_public_call(call) for call in message.tool_calls] or None
    return ChatMessage(role, cast("Any", content), calls, message.tool_call_id, message.name)


def _public_call(call: ToolCall) -> PublicToolCall:
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = {"__raw__": call.arguments}
    return PublicToolCall(call.id, "function", ToolCallFunction(call.name, arguments))


# --- answers -------------------------------------------------------------------------------------------------------


def response_of(completion: Completion) -> LLMResponse:
    return LLMResponse(
        content=completion.text,
        reasoning=completion.reasoning or None,
        tool_calls=[_public_call(call) for call in completion.tool_calls] or None,
        model=completion.model,
        finish_reason=_finish(completion.finish_reason),
        request_id=completion.request_id,
        usage=_public_usage(completion.usage),
    )


def public_chunk_of(chunk: Chunk) -> LLMResponseChunk:
    return LLMResponseChunk(
        delta_content=chunk.text or None,
        delta_reasoning=chunk.reasoning or None,
        delta_tool_calls=[
            _public_call(ToolCall(piece.id or "", piece.name or "", piece.arguments))
            for piece in chunk.tool_calls
        ]
        or None,
        model=chunk.model,
        finish_reason=_finish(chunk.finish_reason),
        request_id=chunk.request_id,
        usage=_public_usage(chunk.usage),
    )


def _finish(reason: str | None) -> FinishReason | None:
    if reason is None:
        return None
    return cast("FinishReason", reason) if reason in _FINISH else "other"


def _public_usage(usage: Usage | None) -> UsageInfo | None:
    if usage is None:
        return None
    tokens = (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens)
    return UsageInfo(*tokens, usage.reasoning_tokens or None, usage.cached_tokens or None)


def chunk_of_response(response: LLMResponse) -> Chunk:
    return Chunk(
        text=response.content or "",
        reasoning=response.reasoning or "",
        tool_calls=_fragments(response.tool_calls),
        finish_reason=response.finish_reason,
        usage=_usage(response.usage),
        model=response.model,
        request_id=response.request_id,
    )


def chunk_of_piece(piece: LLMResponseChunk) -> Chunk:
    return Chunk(
        text=piece.delta_content or "",
        reasoning=piece.delta_reasoning or "",
        tool_calls=_fragments(piece.delta_tool_calls),
        finish_reason=piece.finish_reason,
        usage=_usage(piece.usage),
        model=piece.model,
        request_id=piece.request_id,
    )


def _fragments(calls: list[PublicToolCall] | None) -> tuple[ToolCallFragment, ...]:
    return tuple(
        ToolCallFragment(index, call.id, call.function.name, json.dumps(call.function.arguments))
        for index, call in enumerate(calls or ())
    )


def _usage(usage: UsageInfo | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(
        usage.input_tokens, usage.output_tokens, usage.reasoning_tokens or 0, usage.cached_tokens or 0
    )
