"""Actions: Python functions that flows call."""

from rails_engine.actions import action

__all__ = ["action"]
