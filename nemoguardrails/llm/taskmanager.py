"""Prompts and their answers, for actions."""

from rails_engine.prompts import (
    LLMTaskManager,
)

__all__ = ["LLMTaskManager"]
