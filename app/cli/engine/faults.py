"""The engine's errors as HTTP statuses and OpenAI error bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Kind:
    """How errors of a class are told: the HTTP status, and OpenAI's `type` and `code`."""

    status: int
    type: str
    code: str | None = None


_KINDS: Mapping[type[EngineError], _Kind] = {
    UnknownModelError: _Kind(404, "not_found_error", "model_not_found"),
    RequestTooLongError: _Kind(400, "invalid_request_error", "context_length_exceeded"),
    RequestError: _Kind(400, "invalid_request_error"),
    # A checkpoint at fault while serving is an adapter's folder that a caller named.
    CheckpointError: _Kind(400, "invalid_request_error"),
    OverloadedError: _Kind(503, "overloaded_error", "overloaded"),
    DeadlineError: _Kind(504, "timeout_error", "deadline_exceeded"),
    EngineError: _Kind(500, "server_error"),
}
"""The nearest class of an error counts."""


def _kind(error: EngineError) -> _Kind:
    return next(_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS)


def status_of(error: EngineError) -> int:
    """The HTTP status of an error."""
    return _kind(error).status


def body_of(error: EngineError) -> dict[str, Any]:
    """`{"error": {...}}` as OpenAI's clients read it."""
    kind = _kind(error)
    return refusal(str(error), kind.type, kind.code, getattr(error, "param", None))


def refusal(message: str, kind: str, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """An error body; `param` names the field of the request that is at fault."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
