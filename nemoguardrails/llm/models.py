"""Models that tell of their calls."""

from rails_engine.llm import (
    InstrumentedLLMModel,
)

__all__ = ["InstrumentedLLMModel"]
