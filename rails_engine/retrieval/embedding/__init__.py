"""Embedders: texts to vectors, by models inside the process and by endpoints."""

from rails_engine.retrieval.embedding.endpoint import Endpoint, EndpointEmbedder

__all__ = ["Endpoint", "EndpointEmbedder"]
