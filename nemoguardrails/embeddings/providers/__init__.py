"""Engines that turn texts into vectors."""

from rails_engine.retrieval import EMBEDDING_PROVIDERS, EmbeddingModel

register_embedding_provider = EMBEDDING_PROVIDERS.register

__all__ = ["EmbeddingModel", "register_embedding_provider"]
