"""Engines that turn texts into vectors."""

from rails_engine.retrieval import EMBEDDING_PROVIDERS, EmbeddingModel, init_embedding_model

register_embedding_provider = EMBEDDING_PROVIDERS.register

__all__ = ["EmbeddingModel", "init_embedding_model", "register_embedding_provider"]
