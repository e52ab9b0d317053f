"""Calls to other services, for actions and rails."""

from rails_engine.http import (
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
    RetryingHTTPClient,
    RetryPolicy,
    create_http_client,
    http_call,
)

__all__ = [
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
    "RetryPolicy",
    "RetryingHTTPClient",
    "create_http_client",
    "http_call",
]
