"""The decorator for actions and what they may return."""

from rails_engine.actions import ActionResult, action

__all__ = ["ActionResult", "action"]
