"""The state of a conversation."""

from rails_engine.state import State

__all__ = ["State"]
