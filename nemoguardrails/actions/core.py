"""Actions of the runtime."""

from rails_engine.actions import (
    create_event,
)

__all__ = ["create_event"]
