"""What happened to one request, and that as an OpenTelemetry span."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference_backend.values import FinishReason, Usage

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


@dataclass(frozen=True, slots=True)
class RequestTrace:
    """One request from arrival to end.

    Times are of the engine's clock, in seconds; `started_at` is its first step's, `first_token_at` None where there was
    no token. `usage` is summed over choices.
    """

    request_id: str
    arrived_at: float
    started_at: float | None
    first_token_at: float | None
    ended_at: float
    usage: Usage
    preemptions: int
    finish: FinishReason


TraceSink = Callable[[RequestTrace], None]


def span_sink(tracer: Tracer, model: str, clock: Callable[[], float] = time.monotonic) -> TraceSink:
    """A sink that writes each trace as a span under the GenAI semantic conventions."""

    def write(trace: RequestTrace) -> None:
        # Spans want wall time; the engine's clock never jumps.
        offset = time.time() - clock()
        span = tracer.start_span(
            f"text_completion {model}", start_time=_nanoseconds(trace.arrived_at + offset)
        )
        span.set_attribute("gen_ai.operation.name", "text_completion")
        span.set_attribute("gen_ai.provider.name", "interlock")
        span.set_attribute("gen_ai.request.model", model)
        span.set_attribute("gen_ai.response.id", trace.request_id)
        span.set_attribute("gen_ai.response.finish_reasons", [trace.finish])
        span.set_attribute("gen_ai.usage.input_tokens", trace.usage.prompt_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", trace.usage.completion_tokens)
        span.set_attribute("interlock.cached_tokens", trace.usage.cached_tokens)
        span.set_attribute("interlock.preemptions", trace.preemptions)
        for name, at in (("started", trace.started_at), ("first token", trace.first_token_at)):
            if at is not None:
                span.add_event(name, timestamp=_nanoseconds(at + offset))
        span.end(_nanoseconds(trace.ended_at + offset))

    return write


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
