"""The decorator for actions and what they may return."""

from rails_engine.actions import (
    ActionMeta,
    ActionResult,
    action,
)

__all__ = ["ActionMeta", "ActionResult", "action"]
