"""What a stream gives out: pieces of text, metadata frames, and error frames."""

from __future__ import annotations

import json
from typing import Any

from rails_engine.errors import LLMCallException, LLMClientError


def error_frame(error: BaseException) -> str:
    """An error as the JSON text that ends a stream: `{"error": {message, type, param, code}}`."""
    if isinstance(error, LLMCallException | LLMClientError):
        cause = error.inner_exception if isinstance(error, LLMCallException) else error
        status = getattr(error, "status", None) or getattr(cause, "status_code", None)
        return _frame(
            str(error), "downstream_error", getattr(cause, "param", None), status or "llm_call_failed"
        )
    return _frame(f"{type(error).__name__}: {error}", "generation_error", None, "generation_failed")


def violation_frame(rail: str, kind: str = "output") -> str:
    """The frame of a stream that a rail has ended."""
    return _frame(f"Blocked by {kind} rails: {rail}", "guardrails_violation", rail, "content_blocked")


def rail_failure_frame(rail: str) -> str:
    """The frame of a stream that ended because a rail could not give its verdict."""
    return _frame(f"The rail `{rail}` could not be run", "internal_error", rail, "rail_execution_failure")


def _frame(message: str, kind: str, param: str | None, code: Any) -> str:
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}})
