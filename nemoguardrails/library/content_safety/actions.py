"""Content safety models."""

from rails_engine.library.actions import (
    content_safety_check_input,
    content_safety_check_output,
    detect_language,
)

__all__ = ["content_safety_check_input", "content_safety_check_output", "detect_language"]
