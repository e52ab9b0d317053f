"""LangChain's models as models of the public protocol."""

from rails_engine.llm import LangChainFramework, LangChainLLMAdapter

__all__ = ["LangChainFramework", "LangChainLLMAdapter"]
