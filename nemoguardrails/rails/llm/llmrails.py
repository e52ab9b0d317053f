"""`LLMRails` under its older path."""

from rails_engine import LLMRails

__all__ = ["LLMRails"]
