"""Values of the public model protocol."""

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
]
