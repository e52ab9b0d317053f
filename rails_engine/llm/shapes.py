"""Requests and answers in the shapes that users know, to ours and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, cast

from rails_engine.llm.answer import Completion
from rails_engine.llm.base import (
    NO_SAMPLING,
    Chunk,
    Content,
    ImagePart,
    LLMRequest,
    Message,
    OtherPart,
    Part,
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
    LLMResponse,
    LLMResponseChunk,
    Prompt,
    ToolCallFunction,
    UsageInfo,
)
from rails_engine.llm.public import Role as PublicRole
from rails_engine.llm.public import ToolCall as PublicToolCall
from rails_engine.llm.quotation import Past, Quotation
from rails_engine.llm.wire import content_field, text_of, tool_field

_SAMPLING = {field.name for field in fields(Sampling)}
_KNOWN = ("tool_choice", "response_format", "streaming")
_NAMED = frozenset({*_KNOWN, "tools"})
_TEXT_PART = frozenset({"type", "text"})
_IMAGE_PART = frozenset({"type", "image_url"})
_IMAGE = frozenset({"url", "detail"})
_ROLE_AND_CONTENT = frozenset({"role", "content"})
_PLAIN_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
_FINISH = ("stop", "length", "tool_calls", "content_filter", "error")


# --- requests ------------------------------------------------------------------------------------------------------


def request_of(
    prompt: str | Sequence[ChatMessage | Message | Mapping[str, Any]],
    stop: list[str] | None,
    given: Mapping[str, Any],
) -> LLMRequest:
    """A request from the arguments of a public call; unknown arguments become body fields."""
    text = prompt if isinstance(prompt, str) else None
    messages = () if isinstance(prompt, str) else _messages_of(prompt)
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


def _messages_of(
    messages: Sequence[ChatMessage | Message | Mapping[str, Any]],
) -> tuple[Message, ...]:
    return messages if isinstance(messages, Quotation) else tuple(map(message_of, messages))


def _sampling(stop: list[str] | None, given: Mapping[str, Any]) -> Sampling:
    values = {name: value for name, value in given.items() if name in _SAMPLING and value is not None}
    stops = stop or values.pop("stop", None) or ()
    stops = (stops,) if isinstance(stops, str) else tuple(stops)
    return Sampling(**{**values, "stop": stops})


def message_of(message: ChatMessage | Message | Mapping[str, Any]) -> Message:
    """A message of ours, from a public one or from its dictionary where it is not one."""
    if isinstance(message, Message):
        return message
    if (
        isinstance(message, dict)
        and message.keys() == _ROLE_AND_CONTENT
        and isinstance(message["content"], str)
    ):
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
    """Text, or the parts of a multimodal message."""
    if not isinstance(content, list):
        return content or ""
    return tuple([_part(part) for part in content])


def _part(part: Mapping[str, Any]) -> Part:
    """Plain texts and images by their own names, and all else as it is."""
    image = part.get("image_url")
    if isinstance(image, str):
        image = {"url": image}
    if isinstance(image, dict) and "url" in image and part.keys() <= _IMAGE_PART and image.keys() <= _IMAGE:
        return ImagePart(image["url"], image.get("detail"))
    if part.keys() <= _TEXT_PART:
        return TextPart(str(part.get("text", "")))
    return OtherPart(part)


def tool_of(tool: Mapping[str, Any]) -> Tool:
    """A tool from the shape of the OpenAI API, nested or flat."""
    is_flat = "function" not in tool and "name" in tool
    function = tool if is_flat else tool.get("function") or {}
    return Tool(
        function.get("name", ""),
        function.get("description") or "",
        function.get("parameters") or {},
        function.get("strict"),
        None if is_flat else tool,
    )


def call_of(request: LLMRequest) -> tuple[Prompt, list[str] | None, dict[str, Any]]:
    """The arguments of a public call for a request of ours."""
    sampling = {name: getattr(request.sampling, name) for name in _SAMPLING if name != "stop"}
    kwargs: dict[str, Any] = {name: value for name, value in sampling.items() if value is not None}
    if request.tools:
        kwargs["tools"] = [tool_field(tool) for tool in request.tools]
    if request.tool_choice is not None:
        kwargs["tool_choice"] = request.tool_choice
    if request.response_format is not None:
        kwargs["response_format"] = request.response_format
    prompt: Prompt = request.prompt if request.prompt is not None else public_messages(request.messages)
    return prompt, list(request.sampling.stop) or None, {**kwargs, **request.extra}


_PUBLIC_ROLES = {**{role.value: role for role in PublicRole}, "developer": PublicRole.SYSTEM}


class _Lent(ChatMessage):
    """A message that the next call is handed again, unless somebody changes it: then it is one like any other."""

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, "__class__", ChatMessage)
        object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, ChatMessage) else NotImplemented

    def __reduce__(self) -> tuple[Any, ...]:
        return ChatMessage, tuple(vars(self).values())

    __hash__ = None  # type: ignore[assignment]  # as of any message


_Lent.__name__ = _Lent.__qualname__ = ChatMessage.__qualname__
_KEPT: Final = frozenset({_Lent, type(None)})


def public_messages(messages: Sequence[Message]) -> list[ChatMessage]:
    """Messages of ours as users' models take them, which may change them.

    Those that a call left as they were are handed to the next one that quotes them: making them would cost more than all
    else that a long conversation takes.
    """
    if not isinstance(messages, Quotation):
        return list(map(public_message, messages))
    lent = _lent(messages.past, messages.length)
    return [*map(public_message, messages.before), *lent, *map(public_message, messages.after)]


def _lent(past: Past, count: int) -> list[ChatMessage]:
    """The first messages of a conversation for a user's model."""
    kinds = set(map(type, past.public))
    if not kinds <= _KEPT or any(past.metadata):
        past.remake()
    for message in past.messages[len(past.public) : count]:
        public = public_message(message)
        past.metadata.append(public.provider_metadata)
        if type(message.content) is str and not public.tool_calls:
            object.__setattr__(public, "__class__", _Lent)
        past.public.append(public if type(public) is _Lent else None)
    if past.unlike_text:
        return [
            kept or public_message(message)
            for kept, message in zip(past.public[:count], past.messages, strict=False)
        ]
    return past.public[:count]


def public_message(message: Message) -> ChatMessage:
    """A message of ours as users' models take it."""
    role = _PUBLIC_ROLES[message.role]
    content = message.content if isinstance(message.content, str) else content_field(message)
    calls = [public_call(call) for call in message.tool_calls] or None
    return ChatMessage(role, cast("Any", content), calls, message.tool_call_id, message.name)


def public_call(call: ToolCall) -> PublicToolCall:
    """A call of ours with its arguments as data; what is no JSON stands under `__raw__`."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = {"__raw__": call.arguments}
    return PublicToolCall(call.id, "function", ToolCallFunction(call.name, arguments))


def plain_call(call: ToolCall) -> dict[str, Any]:
    """A call as messages and events carry it: its arguments as data where they are JSON, else as the model wrote them."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError:
        arguments = call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def plain_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Roles and texts; of what a prompt quotes, dictionaries that other prompts quote, too, so that nobody may change them."""
    return messages.lines(_plain) if isinstance(messages, Quotation) else list(map(_plain, messages))


def _plain(message: Message) -> dict[str, Any]:
    return {"role": message.role, "content": text_of(message)}


# --- answers -------------------------------------------------------------------------------------------------------


def response_of(completion: Completion) -> LLMResponse:
    """A whole answer of ours as users know it."""
    return LLMResponse(
        content=completion.text,
        reasoning=completion.reasoning or None,
        tool_calls=[public_call(call) for call in completion.tool_calls] or None,
        model=completion.model,
        finish_reason=_finish(completion.finish_reason),
        request_id=completion.request_id,
        usage=_public_usage(completion.usage),
        provider_metadata=plain_metadata(completion.metadata),
    )


def plain_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As plain dictionaries, which may be changed and written as JSON."""
    if not metadata:
        return None
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in metadata.items()}


def public_chunk_of(chunk: Chunk, calls: list[PublicToolCall] | None) -> LLMResponseChunk:
    """A piece of an answer, with the tool calls that are whole by now."""
    return LLMResponseChunk(
        delta_content=chunk.text or None,
        delta_reasoning=chunk.reasoning or None,
        delta_tool_calls=calls,
        model=chunk.model,
        finish_reason=_finish(chunk.finish_reason),
        request_id=chunk.request_id,
        usage=_public_usage(chunk.usage),
        provider_metadata=plain_metadata(chunk.metadata),
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
    """A whole answer of a user's model as one chunk."""
    return Chunk(
        text=response.content or "",
        reasoning=response.reasoning or "",
        tool_calls=_fragments(response.tool_calls),
        finish_reason=response.finish_reason,
        usage=_usage(response.usage),
        model=response.model,
        request_id=response.request_id,
        metadata=response.provider_metadata,
    )


def chunk_of_piece(piece: LLMResponseChunk, earlier: int = 0) -> Chunk:
    """A piece of a user's model; `earlier` tool calls were whole before those in it."""
    return Chunk(
        text=piece.delta_content or "",
        reasoning=piece.delta_reasoning or "",
        tool_calls=_fragments(piece.delta_tool_calls, earlier),
        finish_reason=piece.finish_reason,
        usage=_usage(piece.usage),
        model=piece.model,
        request_id=piece.request_id,
        metadata=piece.provider_metadata,
    )


def _fragments(calls: list[PublicToolCall] | None, earlier: int = 0) -> tuple[ToolCallFragment, ...]:
    return tuple(
        [
            ToolCallFragment(index, call.id, call.function.name, json.dumps(call.function.arguments))
            for index, call in enumerate(calls or (), earlier)
        ]
    )


def _usage(usage: UsageInfo | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(
        usage.input_tokens, usage.output_tokens, usage.reasoning_tokens or 0, usage.cached_tokens or 0
    )
