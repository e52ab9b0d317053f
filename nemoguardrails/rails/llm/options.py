"""Options of a request and what comes back."""

from rails_engine import (
    ActivatedRail,
    ExecutedAction,
    GenerationLog,
    GenerationLogOptions,
    GenerationOptions,
    GenerationRailsOptions,
    GenerationResponse,
    GenerationStats,
    RailsResult,
    RailStatus,
    RailType,
)

__all__ = [
    "ActivatedRail",
    "ExecutedAction",
    "GenerationLog",
    "GenerationLogOptions",
    "GenerationOptions",
    "GenerationRailsOptions",
    "GenerationResponse",
    "GenerationStats",
    "RailStatus",
    "RailType",
    "RailsResult",
]
