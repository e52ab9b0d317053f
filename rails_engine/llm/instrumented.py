"""`InstrumentedLLMModel`: any public model, with a span and figures of OpenTelemetry for each of its calls.

Names and attributes are those of the GenAI semantic conventions (opentelemetry.io/docs/specs/semconv/gen-ai). What is
said in prompts and answers is recorded only where that is asked for.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rails_engine.error_boundary import OnError
from rails_engine.llm.public import LLMModel, LLMResponse, LLMResponseChunk, Prompt, UsageInfo

_OPERATION = "chat"
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}


class InstrumentedLLMModel:
    """Implements `LLMModel` round another one; `wrapped_model` is that one.

    `tracer` is an OpenTelemetry tracer; without one there are no spans. `metrics_enabled` records durations and tokens
    with the global meter provider. `default_request_params` are shown for calls that do not give their own.
    """

    def __init__(
        self,
        model: LLMModel,
        *,
        tracer: Any | None = None,
        metrics_enabled: bool = False,
        content_capture_enabled: bool = False,
        default_request_params: Mapping[str, Any] | None = None,
    ) -> None:
        self._model = model
        self._tracer = tracer
        self._meters = _Meters() if metrics_enabled else None
        self._content = content_capture_enabled
        self._defaults = dict(default_request_params or {})

    @property
    def wrapped_model(self) -> LLMModel:
        """The model inside."""
        return self._model

    @property
    def model_name(self) -> str | None:
        """See `LLMModel.model_name`."""
        return self._model.model_name

    @property
    def provider_name(self) -> str | None:
        """See `LLMModel.provider_name`."""
        return self._model.provider_name

    @property
    def provider_url(self) -> str | None:
        """See `LLMModel.provider_url`."""
        return self._model.provider_url

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    async def generate_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> LLMResponse:
        """See `LLMModel.generate_async`."""
        with self._call(prompt, stop, kwargs) as call:
            response = await self._model.generate_async(prompt, stop=stop, **kwargs)
            call.answered(response)
            return response

    async def stream_async(
        self, prompt: Prompt, *, stop: list[str] | None = None, **kwargs: Any
    ) -> AsyncIterator[LLMResponseChunk]:
        """See `LLMModel.stream_async`."""
        with self._call(prompt, stop, kwargs) as call:
            async for chunk in self._model.stream_async(prompt, stop=stop, **kwargs):
                call.chunk(chunk)
                yield chunk
            call.ended()

    @contextmanager
    def _call(self, prompt: Prompt, stop: list[str] | None, given: Mapping[str, Any]) -> Iterator[_Call]:
        attributes = self._attributes(stop, given)
        span = self._span(attributes)
        call = _Call(span, attributes, self._meters, content=self._content)
        if span is not None and self._content:
            span.set_attribute("gen_ai.input.messages", _as_json(prompt))
        try:
            with OnError(call.failed):
                yield call
        finally:
            if span is not None:
                span.end()

    def _span(self, attributes: Mapping[str, Any]) -> Any:
        if self._tracer is None:
            return None
        return self._tracer.start_span(f"{_OPERATION} {self.model_name}", attributes=dict(attributes))

    def _attributes(self, stop: list[str] | None, given: Mapping[str, Any]) -> dict[str, Any]:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": _OPERATION,
            "gen_ai.provider.name": self.provider_name or "unknown",
            "gen_ai.request.model": self.model_name,
        }
        if self.provider_url:
            attributes["server.address"] = self.provider_url
        for name, value in {**self._defaults, **given}.items():
            if name in _PARAMETERS and isinstance(value, int | float):
                attributes[_PARAMETERS[name]] = value
        if stop:
            attributes["gen_ai.request.stop_sequences"] = list(stop)
        return attributes


class _Call:
    """One call: what it says to its span and to the meters."""

    def __init__(
        self, span: Any, attributes: Mapping[str, Any], meters: _Meters | None, *, content: bool
    ) -> None:
        self._span = span
        self._attributes = dict(attributes)
        self._meters = meters
        self._content = content
        self._began = time.perf_counter()
        self._gathered = LLMResponse(content="")

    def answered(self, response: LLMResponse) -> None:
        """The whole answer is there."""
        values: dict[str, Any] = {
            "gen_ai.response.model": response.model,
            "gen_ai.response.id": response.request_id,
            "gen_ai.response.finish_reasons": [response.finish_reason] if response.finish_reason else None,
            "gen_ai.usage.input_tokens": response.usage.input_tokens if response.usage else None,
            "gen_ai.usage.output_tokens": response.usage.output_tokens if response.usage else None,
            "gen_ai.output.messages": response.content if self._content else None,
        }
        if self._span is not None:
            for name, value in values.items():
                if value is not None:
                    self._span.set_attribute(name, value)
        self._measured({}, response.usage)

    def chunk(self, chunk: LLMResponseChunk) -> None:
        """A piece of the answer came."""
        whole = self._gathered
        whole.content += (chunk.delta_content or "") if self._content else ""
        whole.model = chunk.model or whole.model
        whole.request_id = chunk.request_id or whole.request_id
        whole.finish_reason = chunk.finish_reason or whole.finish_reason
        whole.usage = chunk.usage or whole.usage

    def ended(self) -> None:
        """The last piece has come."""
        self.answered(self._gathered)

    def failed(self, error: BaseException) -> None:
        """The call ended otherwise."""
        kind = type(error).__name__
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_attribute("error.type", kind)
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        self._measured({"error.type": kind}, None)

    def _measured(self, more: Mapping[str, Any], usage: UsageInfo | None) -> None:
        if self._meters is not None:
            named = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
            common = {name: self._attributes[name] for name in named} | dict(more)
            self._meters.record(time.perf_counter() - self._began, usage, common)


class _Meters:
    """The two instruments of the conventions: seconds and tokens a call."""

    def __init__(self) -> None:
        from opentelemetry.metrics import get_meter

        meter = get_meter("nemoguardrails")
        self._seconds = meter.create_histogram("gen_ai.client.operation.duration", unit="s")
        self._tokens = meter.create_histogram("gen_ai.client.token.usage", unit="{token}")

    def record(self, seconds: float, usage: UsageInfo | None, attributes: Mapping[str, Any]) -> None:
        """Record one call."""
        self._seconds.record(seconds, attributes=dict(attributes))
        if usage is not None:
            for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                self._tokens.record(count, attributes={**attributes, "gen_ai.token.type": kind})


def _as_json(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return prompt
    return json.dumps([message.to_dict() for message in prompt], default=str)
