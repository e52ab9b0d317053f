"""Documents cut into pieces."""

from rails_engine.retrieval.kb import split_markdown_in_topic_chunks

__all__ = ["split_markdown_in_topic_chunks"]
