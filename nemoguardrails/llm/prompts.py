"""Which prompt, and which model, serves a task."""

from rails_engine.prompts import (
    get_prompt,
    get_task_model,
)

__all__ = ["get_prompt", "get_task_model"]
