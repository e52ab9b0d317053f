"""`tracing` and `metrics`: what is reported about turns."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from rails_engine.config.schema.base import OpenSection, Section


class SpanFormat(StrEnum):
    """How spans are named."""

    LEGACY = "legacy"
    OPENTELEMETRY = "opentelemetry"


class LogAdapterConfig(OpenSection):
    """Where spans go; further keys are arguments of the adapter."""

    name: str = Field(default="FileSystem", description="The adapter.")


def _default_adapters() -> list[LogAdapterConfig]:
    return [LogAdapterConfig()]


class TracingConfig(Section):
    """Spans of turns."""

    enabled: bool = Field(
        default=False, description="Whether turns are traced; read and checked, no spans are written yet."
    )
    adapters: list[LogAdapterConfig] = Field(default_factory=_default_adapters, description="Where spans go.")
    span_format: str = Field(
        default=SpanFormat.OPENTELEMETRY.value, description="`opentelemetry` or `legacy`."
    )
    enable_content_capture: bool = Field(default=False, description="Whether spans hold what was said.")


class MetricsConfig(Section):
    """Figures of turns."""

    enabled: bool = Field(
        default=False, description="Whether turns are counted; read and checked, nothing is counted yet."
    )
