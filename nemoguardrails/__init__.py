"""Programmable guardrails for conversational applications: the public names.

Everything is loaded when it is first used, so importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rails_engine import Guardrails, LLMRails
    from rails_engine.config import RailsConfig
    from rails_engine.llm import (
        ChatMessage,
        FinishReason,
        InstrumentedLLMModel,
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

__version__ = "0.1.0"

_HOMES = {
    "LLMRails": "rails_engine",
    "Guardrails": "rails_engine",
    "RailsConfig": "rails_engine.config",
    "ChatMessage": "rails_engine.llm",
    "FinishReason": "rails_engine.llm",
    "InstrumentedLLMModel": "rails_engine.llm",
    "LLMFramework": "rails_engine.llm",
    "LLMModel": "rails_engine.llm",
    "LLMResponse": "rails_engine.llm",
    "LLMResponseChunk": "rails_engine.llm",
    "Role": "rails_engine.llm",
    "ToolCall": "rails_engine.llm",
    "ToolCallFunction": "rails_engine.llm",
    "UsageInfo": "rails_engine.llm",
    "get_default_framework": "rails_engine.llm",
    "register_framework": "rails_engine.llm",
    "register_provider": "rails_engine.llm",
    "set_default_framework": "rails_engine.llm",
}
"""Public name to the module that has it."""

_OTHER_NAMES = {"ToolCall": "PublicToolCall"}
"""Public names that are called otherwise inside."""

__all__ = [
    "ChatMessage",
    "FinishReason",
    "Guardrails",
    "InstrumentedLLMModel",
    "LLMFramework",
    "LLMModel",
    "LLMRails",
    "LLMResponse",
    "LLMResponseChunk",
    "RailsConfig",
    "Role",
    "ToolCall",
    "ToolCallFunction",
    "UsageInfo",
    "__version__",
    "get_default_framework",
    "register_framework",
    "register_provider",
    "set_default_framework",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _refuse_a_double()
    return getattr(import_module(home), _OTHER_NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted(__all__)


def _refuse_a_double() -> None:
    """Two distributions that share one import name would mix their files.

    Raises:
        ImportError: the other distribution of this name is installed too.
    """
    try:
        found = version("nemoguardrails")
    except PackageNotFoundError:
        return
    raise ImportError(
        f"both interlock-rails and nemoguardrails {found} are installed, and they share their import name; "
        "remove the latter with `pip uninstall nemoguardrails`, then install interlock-rails again"
    )
