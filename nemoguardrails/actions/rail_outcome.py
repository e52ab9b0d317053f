"""What rail actions return."""

from rails_engine.actions import RailOutcome

__all__ = ["RailOutcome"]
