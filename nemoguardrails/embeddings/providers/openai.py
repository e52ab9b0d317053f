"""Embedding models of OpenAI."""

from rails_engine.retrieval import OpenAIEmbeddingModel

__all__ = ["OpenAIEmbeddingModel"]
