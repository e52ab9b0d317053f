"""Calls to other services: one neutral protocol, so that actions and rails can be tested without a network.

`messages` are requests, responses and what can go wrong; `client` carries them over pooled connections; `retry` tries
again what may be tried again. `recording` is the double for tests.
"""

from rails_engine.http.client import AiohttpClient, create_http_client, http_call
from rails_engine.http.messages import (
    ClosableHTTPClient,
    HTTPClient,
    HTTPClientError,
    HTTPConnectionError,
    HTTPRequest,
    HTTPResponse,
    HTTPResponseDecodeError,
    HTTPStatusError,
    HTTPTimeoutError,
    HTTPTLSConfig,
)
from rails_engine.http.recording import RecordingHTTPClient
from rails_engine.http.retry import RetryingHTTPClient, RetryPolicy

__all__ = [
    "AiohttpClient",
    "ClosableHTTPClient",
    "HTTPClient",
    "HTTPClientError",
    "HTTPConnectionError",
    "HTTPRequest",
    "HTTPResponse",
    "HTTPResponseDecodeError",
    "HTTPStatusError",
    "HTTPTLSConfig",
    "HTTPTimeoutError",
    "RecordingHTTPClient",
    "RetryPolicy",
    "RetryingHTTPClient",
    "create_http_client",
    "http_call",
]
