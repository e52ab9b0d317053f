"""Embedding models of NVIDIA."""

from rails_engine.retrieval import NIMEmbeddingModel, NVIDIAAIEndpointsEmbeddingModel

__all__ = ["NIMEmbeddingModel", "NVIDIAAIEndpointsEmbeddingModel"]
