"""What rail actions return."""

from rails_engine.actions import (
    RailDecision,
    RailOutcome,
    TransformSpec,
    TransformTarget,
    require_rail_outcome,
)

__all__ = ["RailDecision", "RailOutcome", "TransformSpec", "TransformTarget", "require_rail_outcome"]
