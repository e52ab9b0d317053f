"""An HTTP answer that is no completion, as the error that says who is at fault."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rails_engine.errors import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMClientError,
    LLMContextWindowError,
    LLMRateLimitError,
    LLMServerError,
    LLMTimeoutError,
    LLMUnsupportedParamsError,
)
from rails_engine.llm.endpoint import Endpoint
from rails_engine.retry_after import seconds_asked

SHOWN_BODY = 500
_WINDOW_WORDS = ("context_length_exceeded", "maximum context length", "context window", "too many tokens")
_PARAMETER_CODES = ("unsupported_parameter", "unsupported_value", "unknown_parameter")
_TIMEOUTS = (408, 504)


def error_of(status: int, headers: Mapping[str, str], text: str, endpoint: Endpoint) -> LLMClientError:
    """The error for an answer with `status` and body `text`; header names are lower case."""
    body = _json(text)
    fault = _fault(body)
    message = str(fault.get("message") or text[:SHOWN_BODY] or f"HTTP status {status}")
    details = {
        "error_type": fault.get("type"),
        "error_code": None if fault.get("code") is None else str(fault["code"]),
        "param": fault.get("param"),
        "body": body,
        "response_headers": dict(headers),
        **endpoint.described(),
    }
    if status == 429:
        asked = seconds_asked(headers, datetime.now(UTC))
        return LLMRateLimitError(status, message, retry_after_seconds=asked, **details)
    return _class_of(status, message, str(fault.get("code") or ""))(status, message, **details)


def _class_of(status: int, message: str, code: str) -> type[LLMClientError]:
    if status in (401, 403):
        return LLMAuthenticationError
    if status in _TIMEOUTS:
        return LLMTimeoutError
    if status >= 500:
        return LLMServerError
    if code in _PARAMETER_CODES or "unsupported parameter" in message.lower():
        return LLMUnsupportedParamsError
    if any(words in f"{code} {message}".lower() for words in _WINDOW_WORDS):
        return LLMContextWindowError
    return LLMBadRequestError


def _json(text: str) -> dict[str, Any] | None:
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _fault(body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The part that describes the error: `{"error": {…}}`, `{"error": "text"}`, `{"detail": …}` or flat."""
    if body is None:
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    return {**body, "message": error or body.get("message") or body.get("detail")}
