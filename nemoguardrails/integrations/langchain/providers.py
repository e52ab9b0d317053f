"""LangChain's models as providers of configurations, by name."""

from nemoguardrails.llm.providers import (
    get_chat_provider_names,
    get_llm_provider_names,
    register_chat_provider,
    register_llm_provider,
)

__all__ = [
    "get_chat_provider_names",
    "get_llm_provider_names",
    "register_chat_provider",
    "register_llm_provider",
]
