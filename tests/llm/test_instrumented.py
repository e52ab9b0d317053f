"""Spans and figures of model calls, read back from an in-memory exporter."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from nemoguardrails import InstrumentedLLMModel, LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponse, UsageInfo


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Any:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider.get_tracer("test")


def model(**changes: Any) -> FakeLLMModel:
    answer = LLMResponse("hello", model="m-1", request_id="r", finish_reason="stop", usage=UsageInfo(3, 2, 5))
    return FakeLLMModel(llm_responses=[answer], **changes)


async def test_a_call_is_a_span_with_what_was_asked_and_used(
    spans: InMemorySpanExporter, tracer: Any
) -> None:
    wrapped = InstrumentedLLMModel(model(), tracer=tracer, default_request_params={"temperature": 0.5})
    answer = await wrapped.generate_async("hi", stop=["x"], max_tokens=9)
    assert answer.content == "hello"
    (span,) = spans.get_finished_spans()
    found = dict(span.attributes or {})
    assert span.name == f"chat {wrapped.model_name}"
    assert (found["gen_ai.request.temperature"], found["gen_ai.request.max_tokens"]) == (0.5, 9)
    assert (found["gen_ai.usage.input_tokens"], found["gen_ai.usage.output_tokens"]) == (3, 2)
    assert found["gen_ai.response.finish_reasons"] == ("stop",)
    assert not [key for key in found if key.endswith("messages")]


async def test_content_is_recorded_only_where_asked_for(spans: InMemorySpanExporter, tracer: Any) -> None:
    wrapped = InstrumentedLLMModel(
        FakeLLMModel(responses=["one two"]), tracer=tracer, content_capture_enabled=True
    )
    assert "".join([chunk.delta_content or "" async for chunk in wrapped.stream_async("hi")]) == "one two"
    (span,) = spans.get_finished_spans()
    found = dict(span.attributes or {})
    assert (found["gen_ai.input.messages"], found["gen_ai.output.messages"]) == ("hi", "one two")


async def test_a_failure_is_told_and_goes_on(spans: InMemorySpanExporter, tracer: Any) -> None:
    wrapped = InstrumentedLLMModel(FakeLLMModel(llm_exception=KeyError("gone")), tracer=tracer)
    with pytest.raises(KeyError):
        await wrapped.generate_async("hi")
    (span,) = spans.get_finished_spans()
    assert (span.attributes or {})["error.type"] == "KeyError"
    assert not span.status.is_ok


async def test_seconds_and_tokens_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)
    await InstrumentedLLMModel(model(), metrics_enabled=True).generate_async("hi")
    data: Any = reader.get_metrics_data()
    found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert set(found) == {"gen_ai.client.operation.duration", "gen_ai.client.token.usage"}
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in found["gen_ai.client.token.usage"].data.data_points
    }
    assert tokens == {"input": 3, "output": 2}
    provider.shutdown()


def test_it_serves_as_the_main_model(spans: InMemorySpanExporter, tracer: Any) -> None:
    wrapped = InstrumentedLLMModel(model(), tracer=tracer)
    app = LLMRails(RailsConfig.from_content(None, "models: []\n"), llm=wrapped)
    assert app.generate(prompt="hi") == "hello"
    assert len(spans.get_finished_spans()) == 1
