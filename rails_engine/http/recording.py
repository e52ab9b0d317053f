"""The double for tests: answers from a list, and what was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Unpack

from rails_engine.http.messages import HTTPRequest, HTTPResponse, RequestParts


class RecordingHTTPClient:
    """Implements `ClosableHTTPClient` without a network.

    `requests` are those seen so far, `close_calls` how often it was closed.
    """

    def __init__(self, responses: Iterable[HTTPResponse | BaseException] = ()) -> None:
        self._responses = deque(responses)
        self.requests: list[HTTPRequest] = []
        self.close_calls = 0

    def add_response(self, response: HTTPResponse | BaseException) -> None:
        """Answer a later request so; an exception is raised."""
        self._responses.append(response)

    async def request(self, method: str, url: str, **parts: Unpack[RequestParts]) -> HTTPResponse:
        """See `HTTPClient.request`.

        Raises:
            AssertionError: there are more requests than answers.
        """
        self.requests.append(HTTPRequest(method, url, **parts))
        if not self._responses:
            raise AssertionError(f"no answer is left for {method} {url}")
        answer = self._responses.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def close(self) -> None:
        """See `ClosableHTTPClient.close`."""
        self.close_calls += 1
