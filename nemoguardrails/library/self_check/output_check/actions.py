"""The user's model judges what comes out."""

from rails_engine.library.actions import self_check_output

__all__ = ["self_check_output"]
