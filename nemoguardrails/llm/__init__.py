"""Language models: the public protocol and its values, and who makes models."""

from nemoguardrails.llm.frameworks import get_default_framework, register_framework, set_default_framework
from nemoguardrails.llm.providers import register_provider
from nemoguardrails.types import (
    ChatMessage,
    FinishReason,
    LLMFramework,
    LLMModel,
    LLMResponse,
    LLMResponseChunk,
    Role,
    ToolCall,
    ToolCallFunction,
    UsageInfo,
)

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
