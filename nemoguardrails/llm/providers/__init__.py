"""Providers of models, by name."""

from rails_engine.llm import (
    get_provider_names,
    register_chat_provider,
    register_llm_provider,
    register_provider,
)

get_chat_provider_names = get_provider_names
get_llm_provider_names = get_provider_names

__all__ = [
    "get_chat_provider_names",
    "get_llm_provider_names",
    "get_provider_names",
    "register_chat_provider",
    "register_llm_provider",
    "register_provider",
]
