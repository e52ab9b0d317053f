"""The user's model judges what goes in."""

from rails_engine.library.actions import self_check_input

__all__ = ["self_check_input"]
