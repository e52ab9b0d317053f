"""`tracing` and `metrics`: what is reported about turns."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from rails_engine.config.schema.base import OpenSection, Section


class SpanFormat(StrEnum):
    LEGACY = "legacy"
    OPENTELEMETRY = "opentelemetry"


class LogAdapterConfig(OpenSection):
    """Where spans go; further keys are arguments of the adapter."""

    name: str = "FileSystem"


def _default_adapters() -> list[LogAdapterConfig]:
    return [LogAdapterConfig()]


class TracingConfig(Section):
    enabled: bool = False
    adapters: list[LogAdapterConfig] = Field(default_factory=_default_adapters)
    span_format: str = SpanFormat.OPENTELEMETRY.value
    enable_content_capture: bool = False


class MetricsConfig(Section):
    enabled: bool = False
