"""Requests to the JSON that OpenAI-compatible endpoints read, and their JSON to chunks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from rails_engine.llm.base import (
    NO_SAMPLING,
    Choice,
    Chunk,
    Constraint,
    ImagePart,
    JsonSchema,
    LLMRequest,
    Message,
    OtherPart,
    Part,
    Regex,
    Sampling,
    TextPart,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallFragment,
    Usage,
)
from rails_engine.llm.endpoint import Endpoint
from rails_engine.llm.quotation import Quotation
from rails_engine.llm.think import split_thinking

_NOTHING: Mapping[str, Any] = {}
_REASONING_FAMILY = re.compile(r"^(o[1-9](-|$)|gpt-5)")
_OPENAI_ENGINES = ("openai", "azure", "azure_openai")
_REFUSED_BY_REASONING = (
    "temperature",
    "stop",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
)


def body_of(request: LLMRequest, endpoint: Endpoint) -> dict[str, Any]:
    """The request body: the endpoint's defaults, over them what the request says."""
    body: dict[str, Any] = {**endpoint.defaults, "model": request.model or endpoint.model}
    body |= _prompt_fields(request, endpoint)
    if request.sampling is not NO_SAMPLING:
        body |= _sampling_fields(request.sampling, endpoint)
    if request.tools:
        body["tools"] = [tool_field(tool) for tool in request.tools]
    if request.tool_choice is not None:
        body["tool_choice"] = request.tool_choice
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    if request.constraint is not None:
        body |= _constraint_fields(request.constraint, endpoint)
    if request.samples > 1:
        body["n"] = request.samples
    if request.streaming:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.extra:
        body |= request.extra
    return _for_reasoning_family(body) if _is_reasoning(body["model"], endpoint) else body


def _prompt_fields(request: LLMRequest, endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.mode == "text":
        text = request.prompt if request.prompt is not None else as_text(request.messages)
        return {"prompt": text}
    if request.prompt is not None:
        return {"messages": [{"role": "user", "content": request.prompt}]}
    if isinstance(request.messages, Quotation):
        return {"messages": request.messages.lines(message_field)}
    return {"messages": list(map(message_field, request.messages))}


def as_text(messages: Sequence[Message]) -> str:
    """Messages as one text, for models that only continue text."""
    return "\n".join(f"{message.role}: {text_of(message)}" for message in messages) + "\nassistant:"


def text_of(message: Message) -> str:
    """The text of a message; images are left out."""
    if isinstance(message.content, str):
        return message.content
    return "".join(part.text for part in message.content if not isinstance(part, ImagePart))


def message_field(message: Message) -> dict[str, Any]:
    """A message as the chat API takes it."""
    content: Any = message.content
    result = {
        "role": message.role,
        "content": content if content and type(content) is str else content_field(message),
    }
    if message.tool_calls:
        result["tool_calls"] = [tool_call_field(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        result["tool_call_id"] = message.tool_call_id
    if message.name is not None:
        result["name"] = message.name
    return result


def tool_call_field(call: ToolCall) -> dict[str, Any]:
    """A call as the chat API takes it."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def content_field(message: Message) -> str | list[dict[str, Any]] | None:
    """A message's content as the chat API takes it; None for a message that only calls tools."""
    if isinstance(message.content, str):
        return message.content or (None if message.tool_calls else "")
    return [_part_field(part) for part in message.content]


def _part_field(part: Part) -> dict[str, Any]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, OtherPart):
        return dict(part.field)
    image = {"url": part.url, **({"detail": part.detail} if part.detail else {})}
    return {"type": "image_url", "image_url": image}


def tool_field(tool: Tool) -> dict[str, Any]:
    """A tool as the chat API takes it; one that a caller gave in this form is sent as it was given."""
    if tool.given is not None:
        return dict(tool.given)
    function: dict[str, Any] = {"name": tool.name, "parameters": dict(tool.parameters)}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _sampling_fields(sampling: Sampling, endpoint: Endpoint) -> dict[str, Any]:
    result: dict[str, Any] = {"stop": list(sampling.stop)} if sampling.stop else {}
    if sampling.temperature is not None:
        result["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        result["top_p"] = sampling.top_p
    if sampling.top_k is not None:
        result["top_k"] = sampling.top_k
    if sampling.max_tokens is not None:
        result["max_tokens"] = sampling.max_tokens
    if sampling.seed is not None:
        result["seed"] = sampling.seed
    if sampling.logprobs is not None:
        chat = {"logprobs": True, "top_logprobs": sampling.logprobs}
        result |= chat if endpoint.mode == "chat" else {"logprobs": sampling.logprobs}
    return result


def _constraint_fields(constraint: Constraint, endpoint: Endpoint) -> dict[str, Any]:
    """A constraint in the words of the endpoint; where it has none, the answer is free and the caller checks it."""
    if isinstance(constraint, JsonSchema):
        schema = {"name": "answer", "strict": True, "schema": json.loads(constraint.schema)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    guided: dict[str, Any] = {}
    if isinstance(constraint, Choice):
        guided = {"guided_choice": list(constraint.options)}
    elif isinstance(constraint, Regex):
        guided = {"guided_regex": constraint.pattern}
    if guided and endpoint.provider in {"vllm", "local"}:
        return guided
    return {"nvext": guided} if guided and endpoint.provider == "nim" else {}


def _is_reasoning(model: str, endpoint: Endpoint) -> bool:
    return endpoint.provider in _OPENAI_ENGINES and _of_reasoning_family(model)


@lru_cache(maxsize=256)
def _of_reasoning_family(model: str) -> bool:
    return _REASONING_FAMILY.match(model) is not None


def _for_reasoning_family(body: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's reasoning models refuse most sampling parameters and name the token limit otherwise."""
    result = {name: value for name, value in body.items() if name not in _REFUSED_BY_REASONING}
    limit = result.pop("max_tokens", None)
    if limit is not None:
        result.setdefault("max_completion_tokens", limit)
    return result


def chunk_of(data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> Chunk:
    """One JSON object of an answer: a whole completion, or one event of a streamed one.

    Raises:
        TypeError, KeyError, IndexError, ValueError: it is neither.
    """
    choices = data.get("choices")
    choice: Mapping[str, Any] = choices[0] if choices else _NOTHING
    said: Mapping[str, Any] = choice.get("message") or choice.get("delta") or _NOTHING
    text = said.get("content") if said else choice.get("text")
    calls = said.get("tool_calls")
    logprobs = choice.get("logprobs")
    return Chunk(  # by position: names would take longer than all the rest
        _whole(text if isinstance(text, str) else _joined(text)),
        _whole(_reasoning(said)),
        tuple(_fragment(i, call) for i, call in enumerate(calls)) if calls else (),
        _logprobs(logprobs) if logprobs else (),
        choice.get("finish_reason"),
        _usage(data.get("usage")),
        data.get("model"),
        data.get("id"),
        False,
        metadata,
        tuple(map(_text_of, choices[1:])) if choices and len(choices) > 1 else (),
    )


def _whole(text: str) -> str:
    """The text with U+FFFD for each half of a character that came without the other: no file or socket could take it."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _text_of(choice: Mapping[str, Any]) -> str:
    """The text of one answer among several, without what the model thought."""
    said: Mapping[str, Any] = choice.get("message") or _NOTHING
    text = said.get("content") if said else choice.get("text")
    return split_thinking(text if isinstance(text, str) else _joined(text))[0]


def _reasoning(said: Mapping[str, Any]) -> str:
    """What the model thought, under one of the names that servers have for it, or in parts of its content."""
    for name in ("reasoning_content", "reasoning"):
        value = said.get(name)
        if value and isinstance(value, str):
            return value
    content = said.get("content")
    if not isinstance(content, list):
        return ""
    thought = [part.get("thinking") for part in content if part.get("type") == "thinking"]
    return "".join(piece if isinstance(piece, str) else _joined(piece) for piece in thought)


def _joined(content: Sequence[Mapping[str, Any]] | None) -> str:
    if content is None:
        return ""
    return "".join(part.get("text") or "" for part in content)


def _fragment(position: int, call: Mapping[str, Any]) -> ToolCallFragment:
    function = call.get("function") or {}
    arguments = function.get("arguments") or ""
    return ToolCallFragment(
        index=call.get("index", position),
        id=call.get("id"),
        name=function.get("name"),
        arguments=arguments if isinstance(arguments, str) else json.dumps(arguments),
    )


def _logprobs(data: Mapping[str, Any]) -> tuple[TokenLogprob, ...]:
    if data.get("content"):
        return tuple(
            TokenLogprob(
                item["token"],
                item["logprob"],
                tuple((top["token"], top["logprob"]) for top in item.get("top_logprobs") or ()),
            )
            for item in data["content"]
        )
    tops = data.get("top_logprobs") or ()
    pairs = zip(data.get("tokens") or (), data.get("token_logprobs") or (), strict=False)
    return tuple(
        TokenLogprob(token, value or 0.0, tuple((tops[i] or {}).items()) if i < len(tops) else ())
        for i, (token, value) in enumerate(pairs)
    )


def _usage(data: Mapping[str, Any] | None) -> Usage | None:
    if not data:
        return None
    written = data.get("completion_tokens_details") or _NOTHING
    read = data.get("prompt_tokens_details") or _NOTHING
    return Usage(
        data.get("prompt_tokens") or 0,
        data.get("completion_tokens") or 0,
        written.get("reasoning_tokens") or 0,
        read.get("cached_tokens") or 0,
    )
