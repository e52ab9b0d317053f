"""The exact index."""

from rails_engine.retrieval import BasicEmbeddingsIndex

__all__ = ["BasicEmbeddingsIndex"]
