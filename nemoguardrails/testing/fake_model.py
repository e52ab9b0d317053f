"""A model that says what it was told to."""

from rails_engine.llm import FakeLLMModel

__all__ = ["FakeLLMModel"]
