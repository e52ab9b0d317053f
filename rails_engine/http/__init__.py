"""Calls to other services: one neutral protocol, so that actions and rails can be tested without a network.

`messages` are requests, responses and what can go wrong; `client` carries them, `redirects` says what may go on to
where an answer points; `retry` tries again what may be tried again, `instrumented` tells of each request.
`httpx_client` carries them over an `httpx` client that users bring, and `calls` makes clients. `recording` is the
double for tests.

Below stands HTTP/1.1 itself, as little of it as clients of models and services need. `origin` takes a URL apart,
`routes` finds the way there (TLS, proxies), `requests` makes the bytes. `pool` keeps connections for each event loop
and route, and its `Exchange` is one request and answer; `opening` opens a connection, `connection` carries one request
at a time, with `alarm` for its time limit. What comes in goes through `parser`, which is httptools with bounds, into
`incoming`, from where it is read whole or piece by piece.
"""

from rails_engine.http.calls import create_http_client, http_call
from rails_engine.http.client import PooledHTTPClient
from rails_engine.http.connection import Terms
from rails_engine.http.httpx_client import HttpxHTTPClient
from rails_engine.http.incoming import Incoming
from rails_engine.http.instrumented import InstrumentedHTTPClient, instrument_http_client
from rails_engine.http.messages import (
    ClosableHTTPClient,
    HTTPAnswerSizeError,
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
from rails_engine.http.pool import Exchange, Pool
from rails_engine.http.recording import RecordingHTTPClient
from rails_engine.http.requests import RequestLine
from rails_engine.http.retry import RetryingHTTPClient, RetryPolicy

__all__ = [
    "ClosableHTTPClient",
    "Exchange",
    "HTTPAnswerSizeError",
    "HTTPClient",
    "HTTPClientError",
    "HTTPConnectionError",
    "HTTPRequest",
    "HTTPResponse",
    "HTTPResponseDecodeError",
    "HTTPStatusError",
    "HTTPTLSConfig",
    "HTTPTimeoutError",
    "HttpxHTTPClient",
    "Incoming",
    "InstrumentedHTTPClient",
    "Pool",
    "PooledHTTPClient",
    "RecordingHTTPClient",
    "RequestLine",
    "RetryPolicy",
    "RetryingHTTPClient",
    "Terms",
    "create_http_client",
    "http_call",
    "instrument_http_client",
]
