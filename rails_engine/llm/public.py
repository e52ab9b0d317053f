"""The model protocol that users' code speaks: they implement it, and actions are handed objects that have it.

Names, fields and defaults are public. Inside the engine the values of `base` are used; `adapt` stands between.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

from rails_engine.errors import InvalidRequestError

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "error", "other"]


class Role(str, Enum):  # noqa: UP042 - its members print as they always have for users
    """Who a message is from."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


_ROLES = {"bot": Role.ASSISTANT, "human": Role.USER, "developer": Role.SYSTEM, "ai": Role.ASSISTANT}


@dataclass
class ToolCallFunction:
    """The function that a model wants called, with its arguments as data."""

    name: str
    arguments: dict[str, Any]


@dataclass
class ToolCall:
    """A call that a model asks for; a tool's message answers it by `id`."""

    id: str
    type: str = "function"
    function: ToolCallFunction = field(default_factory=lambda: ToolCallFunction("", {}))

    def to_dict(self) -> dict[str, Any]:
        """In the nested shape of the OpenAI API, but with the arguments as data."""
        function = {"name": self.function.name, "arguments": self.function.arguments}
        return {"id": self.id, "type": self.type, "function": function}


def tool_call_from(data: dict[str, Any]) -> ToolCall:
    """A call from the nested shape of the OpenAI API or the flat one (`name`, `args`)."""
    function = data.get("function") or {"name": data.get("name"), "arguments": data.get("args", {})}
    arguments = function.get("arguments") or {}
    parsed = json.loads(arguments) if isinstance(arguments, str) else arguments
    call = ToolCallFunction(function.get("name") or "", parsed if isinstance(parsed, dict) else {})
    return ToolCall(data.get("id") or "", "function", call)


@dataclass
class ChatMessage:
    """A message of a prompt. `content` is a text, or a list of parts in the shape of the OpenAI API."""

    role: Role
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    provider_metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_user(cls, content: str, **kwargs: Any) -> Self:
        """A message of the user's."""
        return cls(Role.USER, content, **kwargs)

    @classmethod
    def from_assistant(cls, content: str, **kwargs: Any) -> Self:
        """A message of the model's."""
        return cls(Role.ASSISTANT, content, **kwargs)

    @classmethod
    def from_system(cls, content: str, **kwargs: Any) -> Self:
        """An instruction."""
        return cls(Role.SYSTEM, content, **kwargs)

    @classmethod
    def from_tool(cls, content: str, tool_call_id: str, **kwargs: Any) -> Self:
        """What a tool answered to the call of this id."""
        return cls(Role.TOOL, content, tool_call_id=tool_call_id, **kwargs)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> Self:
        """A message from its dictionary, under any of the names that roles go by.

        Raises:
            InvalidRequestError: the role is unknown.
        """
        role = str(d.get("role", ""))
        if role not in _ROLES and role not in [known.value for known in Role]:
            raise InvalidRequestError(f"unknown message role {role!r}; use user, assistant, system or tool")
        calls = d.get("tool_calls")
        return cls(
            role=_ROLES.get(role) or Role(role),
            content=d.get("content"),
            tool_calls=[tool_call_from(call) for call in calls] if calls else None,
            tool_call_id=d.get("tool_call_id"),
            name=d.get("name"),
            provider_metadata=d.get("provider_metadata") or {},
        )

    def to_dict(self) -> dict[str, Any]:
        """The message as `from_dict` reads it, without what is not set."""
        fields = {
            "content": self.content,
            "tool_calls": [call.to_dict() for call in self.tool_calls] if self.tool_calls else None,
            "tool_call_id": self.tool_call_id,
            "name": self.name,
            "provider_metadata": self.provider_metadata or None,
        }
        return {"role": self.role.value, **{name: v for name, v in fields.items() if v is not None}}


@dataclass
class UsageInfo:
    """Token counts of a call; None where the provider does not tell."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


@dataclass
class LLMResponse:
    """A whole answer. `content` is empty where the model only calls tools."""

    content: str
    reasoning: str | None = None
    tool_calls: list[ToolCall] | None = None
    model: str | None = None
    finish_reason: FinishReason | None = None
    stop_sequence: str | None = None
    request_id: str | None = None
    usage: UsageInfo | None = None
    provider_metadata: dict[str, Any] | None = None


@dataclass
class LLMResponseChunk:
    """A piece of an answer: what is new since the piece before. A tool call comes whole."""

    delta_content: str | None = None
    delta_reasoning: str | None = None
    delta_tool_calls: list[ToolCall] | None = None
    model: str | None = None
    finish_reason: FinishReason | None = None
    request_id: str | None = None
    usage: UsageInfo | None = None
    provider_metadata: dict[str, Any] | None = None


Prompt: TypeAlias = str | list[ChatMessage]


@runtime_checkable
class LLMModel(Protocol):
    """A model as users implement it and as actions receive it."""

    @property
    def model_name(self) -> str | None:
        """What the model is called."""

    @property
    def provider_name(self) -> str | None:
        """Who runs it."""

    @property
    def provider_url(self) -> str | None:
        """Where it is; None for one of this process."""

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """The whole answer to a text or to messages.

        `kwargs` are sampling parameters and what the provider takes beside them.

        Raises:
            whatever the provider raises; a turn makes it an `LLMCallException`.
        """

    def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        """As `generate_async`, piece by piece; closing the iterator ends the call."""


@runtime_checkable
class LLMFramework(Protocol):
    """Makes models by name, in place of the built-in clients."""

    def create_model(
        self, model_name: str, provider_name: str, model_kwargs: dict[str, Any] | None = None
    ) -> LLMModel:
        """A model by name.

        Raises:
            ModelInitializationError: it cannot be made.
        """

    def register_provider(self, name: str, provider_cls: Any) -> None:
        """Make the models of a provider by `provider_cls(model=..., **kwargs)`."""

    def get_provider_names(self) -> list[str]:
        """The names that were registered, sorted."""

    async def reset(self) -> None:
        """Forget what was registered."""
