"""`TestChat` under its longer path."""

from rails_engine import TestChat

__all__ = ["TestChat"]
