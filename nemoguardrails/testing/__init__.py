"""Doubles for tests of configurations: a scripted model, a scripted chat, and a service that answers from a list."""

from rails_engine import TestChat
from rails_engine.http import RecordingHTTPClient
from rails_engine.llm import FakeLLMModel

__all__ = ["FakeLLMModel", "RecordingHTTPClient", "TestChat"]
