"""Topic control models."""

from rails_engine.library.actions import topic_safety_check_input

__all__ = ["topic_safety_check_input"]
