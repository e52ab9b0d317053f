"""Embedding models of sentence-transformers."""

from rails_engine.retrieval import SentenceTransformerEmbeddingModel

__all__ = ["SentenceTransformerEmbeddingModel"]
