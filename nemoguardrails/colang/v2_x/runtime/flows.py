"""The state of a conversation."""

from rails_engine import State

__all__ = ["State"]
