"""Actions by name: registered, looked up and run."""

from rails_engine.actions import ActionDispatcher

__all__ = ["ActionDispatcher"]
