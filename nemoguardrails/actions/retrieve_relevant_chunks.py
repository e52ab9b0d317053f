"""Retrieval as an action."""

from rails_engine.actions import (
    retrieve_relevant_chunks,
)

__all__ = ["retrieve_relevant_chunks"]
