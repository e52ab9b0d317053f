"""Doubles for tests of configurations: a scripted model and a scripted chat."""

from rails_engine import TestChat
from rails_engine.llm import FakeLLMModel

__all__ = ["FakeLLMModel", "TestChat"]
