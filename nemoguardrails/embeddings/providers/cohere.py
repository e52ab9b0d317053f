"""Embedding models of Cohere."""

from rails_engine.retrieval import CohereEmbeddingModel

__all__ = ["CohereEmbeddingModel"]
