"""The knowledge base under its older path."""

from rails_engine.retrieval import KnowledgeBase

__all__ = ["KnowledgeBase"]
