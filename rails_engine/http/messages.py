"""Requests, responses, the protocol between them, and what can go wrong.

HTTPClientError
  HTTPConnectionError        no connection
  HTTPTimeoutError           no answer in time
  HTTPAnswerSizeError        an answer that is too large
  HTTPStatusError            an answer that is no success; has `response` and `request`
  HTTPResponseDecodeError    an answer that is no JSON; has `response`
"""

from __future__ import annotations

import json as codec
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict, Unpack


class HTTPClientError(Exception):
    """A call to another service failed."""


class HTTPConnectionError(HTTPClientError):
    """There is no connection."""


class HTTPTimeoutError(HTTPClientError):
    """No answer came in time."""


class HTTPAnswerSizeError(HTTPClientError):
    """The answer is larger than answers may be."""


class HTTPStatusError(HTTPClientError):
    """The service answered with a status that is no success."""

    def __init__(self, response: HTTPResponse, request: HTTPRequest | None = None) -> None:
        where = f"{request.method} {request.url}: " if request else ""
        super().__init__(f"{where}HTTP {response.status_code}")
        self.response = response
        self.request = request


class HTTPResponseDecodeError(HTTPClientError):
    """The answer is no JSON."""

    def __init__(self, response: HTTPResponse) -> None:
        super().__init__(f"HTTP {response.status_code}: the answer is no JSON: {response.content[:200]!r}")
        self.response = response


@dataclass(frozen=True)
class HTTPRequest:
    """`timeout` is in seconds; None means the client's own."""

    method: str
    url: str
    headers: Mapping[str, str] | None = None
    params: Mapping[str, Any] | None = None
    json: Any = None
    content: bytes | str | None = None
    timeout: float | None = None


@dataclass(frozen=True)
class HTTPResponse:
    """An answer, whole. Header names are in lower case."""

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    extensions: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """True for a status of 200 to 299."""
        return 200 <= self.status_code < 300

    @property
    def text(self) -> str:
        """The content as UTF-8; what is none becomes the replacement character."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The content as JSON.

        Raises:
            HTTPResponseDecodeError: it is none.
        """
        try:
            return codec.loads(self.content)
        except ValueError as error:
            raise HTTPResponseDecodeError(self) from error

    def raise_for_status(self, request: HTTPRequest | None = None) -> None:
        """Refuse an answer that is no success.

        Raises:
            HTTPStatusError: it is none.
        """
        if not self.is_success:
            raise HTTPStatusError(self, request)


@dataclass(frozen=True)
class HTTPTLSConfig:
    """How a service proves who it is, and how we do; the names are files in PEM."""

    verify: bool = True
    ca_bundle: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None


class RequestParts(TypedDict, total=False):
    """What a request has beside its method and address; see `HTTPRequest`."""

    headers: Mapping[str, str] | None
    params: Mapping[str, Any] | None
    json: Any
    content: bytes | str | None
    timeout: float | None


class HTTPClient(Protocol):
    """Sends a request and brings the whole answer, whatever its status."""

    async def request(self, method: str, url: str, **parts: Unpack[RequestParts]) -> HTTPResponse:
        """The answer.

        Raises:
            HTTPConnectionError, HTTPTimeoutError: there is none.
        """
        ...


class ClosableHTTPClient(HTTPClient, Protocol):
    """A client whose connections somebody owns."""

    async def close(self) -> None:
        """Close its connections."""
