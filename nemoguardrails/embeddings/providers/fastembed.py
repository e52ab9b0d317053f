"""Embedding models of FastEmbed."""

from rails_engine.retrieval import FastEmbedEmbeddingModel

__all__ = ["FastEmbedEmbeddingModel"]
