"""What a search provider has to be."""

from rails_engine.retrieval import EmbeddingsIndex, IndexItem

__all__ = ["EmbeddingsIndex", "IndexItem"]
