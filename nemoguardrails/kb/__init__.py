"""The knowledge base, and citations: chunks numbered for a prompt, and the numbers in an answer turned into places."""

from rails_engine.retrieval import Citation, KnowledgeBase, citations_in, numbered

__all__ = ["Citation", "KnowledgeBase", "citations_in", "numbered"]
