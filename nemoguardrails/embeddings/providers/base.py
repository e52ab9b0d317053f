"""What an embedding engine has to be."""

from rails_engine.retrieval import EmbeddingModel

__all__ = ["EmbeddingModel"]
