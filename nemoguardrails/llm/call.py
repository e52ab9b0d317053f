"""`llm_call` under its newer path."""

from rails_engine.llm import llm_call

__all__ = ["llm_call"]
