"""The engine's errors as HTTP statuses and OpenAI error bodies."""

from __future__ import annotations

from typing import Any

from inference_backend import (
    CheckpointError,
    DeadlineError,
    EngineError,
    OverloadedError,
    RequestError,
    RequestTooLongError,
    UnknownModelError,
)


def status_of(error: EngineError) -> int:
    """A checkpoint at fault while serving is an adapter's folder that a caller named."""
    if isinstance(error, UnknownModelError):
        return 404
    if isinstance(error, RequestError | CheckpointError):
        return 400
    if isinstance(error, OverloadedError):
        return 503
    return 504 if isinstance(error, DeadlineError) else 500


def body_of(error: EngineError) -> dict[str, Any]:
    """`{"error": {...}}` as OpenAI's clients read it."""
    status = status_of(error)
    code: str | None
    if isinstance(error, RequestTooLongError):
        code = "context_length_exceeded"
    elif isinstance(error, UnknownModelError):
        code = "model_not_found"
    else:
        code = {503: "overloaded", 504: "deadline_exceeded"}.get(status)
    kind = {
        400: "invalid_request_error",
        404: "not_found_error",
        503: "overloaded_error",
        504: "timeout_error",
    }
    return {
        "error": {
            "message": str(error),
            "type": kind.get(status, "server_error"),
            "param": getattr(error, "param", None),
            "code": code,
        }
    }


def refusal(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error body for what the server itself refuses."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
