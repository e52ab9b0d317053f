"""Counts of model calls."""

from rails_engine import (
    LLMStats,
)

__all__ = ["LLMStats"]
