"""The names of the prompt tasks."""

from rails_engine.prompts import (
    Task,
)

__all__ = ["Task"]
