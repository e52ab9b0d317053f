"""`LLMRails` under its older path."""

from rails_engine.rails import LLMRails

__all__ = ["LLMRails"]
