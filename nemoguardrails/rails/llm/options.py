"""Options of a request and what comes back."""

from rails_engine.options import (
    GenerationLogOptions,
    GenerationOptions,
    GenerationRailsOptions,
    RailsResult,
    RailStatus,
    RailType,
)
from rails_engine.response import (
    ActivatedRail,
    ExecutedAction,
    GenerationLog,
    GenerationResponse,
    GenerationStats,
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
