"""Embedding models of Google."""

from rails_engine.retrieval import GoogleEmbeddingModel

__all__ = ["GoogleEmbeddingModel"]
