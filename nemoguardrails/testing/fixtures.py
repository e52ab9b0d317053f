"""Fixtures for pytest: `from nemoguardrails.testing.fixtures import fake_llm, make_test_chat` in a `conftest.py`."""

from collections.abc import Callable

import pytest

from rails_engine import TestChat
from rails_engine.llm import FakeLLMModel


@pytest.fixture
def fake_llm() -> FakeLLMModel:
    """A model without answers; set its `responses`."""
    return FakeLLMModel(responses=[])


@pytest.fixture
def make_fake_llm() -> Callable[..., FakeLLMModel]:
    """Makes models: `make_fake_llm(["first answer", "second answer"])`."""
    return FakeLLMModel


@pytest.fixture
def make_test_chat() -> Callable[..., TestChat]:
    """Makes chats: `make_test_chat(config, llm_completions=["…"])`."""
    return TestChat


__all__ = ["fake_llm", "make_fake_llm", "make_test_chat"]
