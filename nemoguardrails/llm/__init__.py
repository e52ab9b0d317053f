"""Language models: the public protocol and its values."""

from rails_engine.llm import (
    ChatMessage,
    FinishReason,
    LLMFramework,
    LLMModel,
    LLMResponse,
    LLMResponseChunk,
    Role,
    ToolCallFunction,
    UsageInfo,
    get_default_framework,
    register_framework,
    register_provider,
    set_default_framework,
)
from rails_engine.llm import PublicToolCall as ToolCall

__all__ = [
    "ChatMessage",
    "FinishReason",
    "LLMFramework",
    "LLMModel",
    "LLMResponse",
    "LLMResponseChunk",
    "Role",
    "ToolCall",
    "ToolCallFunction",
    "UsageInfo",
    "get_default_framework",
    "register_framework",
    "register_provider",
    "set_default_framework",
]
