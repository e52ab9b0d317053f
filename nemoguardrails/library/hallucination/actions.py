"""Answers held against others to the same prompt."""

from rails_engine.library.actions import self_check_hallucination

__all__ = ["self_check_hallucination"]
