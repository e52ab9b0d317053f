"""Doubles for tests of configurations: a scripted model and a scripted chat."""

from rails_engine.llm import FakeLLMModel
from rails_engine.testing import TestChat

__all__ = ["FakeLLMModel", "TestChat"]
