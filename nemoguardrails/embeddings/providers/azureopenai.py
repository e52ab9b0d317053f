"""Embedding models of Azure OpenAI."""

from rails_engine.retrieval import AzureEmbeddingModel

__all__ = ["AzureEmbeddingModel"]
