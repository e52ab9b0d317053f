"""Any client, with a span and a duration of OpenTelemetry for each request.

Names and attributes are those of the HTTP semantic conventions (opentelemetry.io/docs/specs/semconv/http). Of a URL
the scheme, server and path are told; what may be a secret, its user, password and query, is not.
"""

from __future__ import annotations

import time
from typing import Any, Unpack

from rails_engine.error_boundary import OnError
from rails_engine.http.messages import HTTPClient, HTTPClientError, HTTPResponse, RequestParts
from rails_engine.http.origin import address_of


class InstrumentedHTTPClient:
    """Implements `ClosableHTTPClient` round another client; `wrapped_client` is that one.

    `tracer` is an OpenTelemetry tracer; without one there are no spans. `metrics_enabled` records durations with the
    global meter provider.
    """

    def __init__(
        self, client: HTTPClient, *, tracer: Any | None = None, metrics_enabled: bool = False
    ) -> None:
        self._client = client
        self._tracer = tracer
        self._seconds = _histogram() if metrics_enabled else None

    @property
    def wrapped_client(self) -> HTTPClient:
        """The client inside."""
        return self._client

    async def request(self, method: str, url: str, **parts: Unpack[RequestParts]) -> HTTPResponse:
        """See `HTTPClient.request`; whatever it raises is told and goes on."""
        attributes = _attributes(method, url)
        span = _span(self._tracer, method, attributes)
        began = time.perf_counter()

        def failed(error: BaseException) -> None:
            self._ended(span, {**attributes, "error.type": type(error).__name__}, began, error)

        with OnError(failed):
            response = await self._client.request(method, url, **parts)
        told: dict[str, Any] = {"http.response.status_code": response.status_code}
        if response.status_code >= 400:
            told["error.type"] = str(response.status_code)
        self._ended(span, {**attributes, **told}, began)
        return response

    def _ended(
        self, span: Any, attributes: dict[str, Any], began: float, error: BaseException | None = None
    ) -> None:
        if self._seconds is not None:
            self._seconds.record(time.perf_counter() - began, attributes=attributes)
        if span is None:
            return
        span.set_attributes(attributes)
        if "error.type" in attributes:
            from opentelemetry.trace import Status, StatusCode

            span.set_status(Status(StatusCode.ERROR, str(error) if error else None))
        if error is not None:
            span.record_exception(error)
        span.end()

    async def close(self) -> None:
        """Close the other client, if it can be closed."""
        close = getattr(self._client, "close", None)
        if close:
            await close()


def _attributes(method: str, url: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {"http.request.method": method.upper()}
    try:
        address = address_of(url)
    except HTTPClientError:
        return attributes
    return attributes | {
        "server.address": address.origin.host,
        "server.port": address.origin.port,
        "url.scheme": address.origin.scheme,
        "url.path": address.target.partition("?")[0],
    }


def _span(tracer: Any, method: str, attributes: dict[str, Any]) -> Any:
    if tracer is None:
        return None
    from opentelemetry.trace import SpanKind

    return tracer.start_span(method.upper(), kind=SpanKind.CLIENT, attributes=attributes)


def _histogram() -> Any:
    from opentelemetry.metrics import get_meter

    return get_meter("nemoguardrails").create_histogram("http.client.request.duration", unit="s")


def instrument_http_client(
    client: HTTPClient, *, tracer: Any | None = None, metrics_enabled: bool = False
) -> HTTPClient:
    """`client` with spans, figures or both; itself where neither is wanted."""
    if tracer is None and not metrics_enabled:
        return client
    return InstrumentedHTTPClient(client, tracer=tracer, metrics_enabled=metrics_enabled)
