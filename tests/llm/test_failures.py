"""What each failure of a remote model is called, and which of them are tried again."""

from __future__ import annotations

from typing import Any

import pytest

from rails_engine.config import Model
from rails_engine.errors import (
    LLMAuthenticationError,
    LLMBadRequestError,
    LLMClientError,
    LLMConnectionError,
    LLMContextWindowError,
    LLMRateLimitError,
    LLMResponseValidationError,
    LLMServerError,
    LLMTimeoutError,
    LLMUnsupportedParamsError,
    MissingKeyError,
)
from rails_engine.llm import LLMRequest, complete, create_models
from tests.llm.conftest import HELLO, MakeModels, Reply, Stub, ask


def fault(message: str = "m", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "t", "code": code, "param": "p"}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, fault(), LLMBadRequestError),
        (400, fault("This model's maximum context length is 8 tokens"), LLMContextWindowError),
        (400, fault(code="context_length_exceeded"), LLMContextWindowError),
        (400, fault(code="unsupported_parameter"), LLMUnsupportedParamsError),
        (401, fault(), LLMAuthenticationError),
        (403, fault(), LLMAuthenticationError),
        (404, fault(), LLMBadRequestError),
        (408, fault(), LLMTimeoutError),
        (429, fault(), LLMRateLimitError),
        (500, fault(), LLMServerError),
        (503, {"detail": "busy"}, LLMServerError),
    ],
)
async def test_each_status_has_its_error(
    stub: Stub, models: MakeModels, status: int, body: dict[str, Any], kind: type[LLMClientError]
) -> None:
    stub.replies = [Reply(status=status, body=body)]
    with pytest.raises(kind) as caught:
        await ask(models)
    error = caught.value
    assert (type(error), error.status_code, error.model_name) == (kind, status, "gpt-4o-mini")
    assert "k-1" not in str(error)


async def test_an_error_says_what_the_server_said(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply(status=429, body=fault("slow down", "rate"), headers={"Retry-After": "7"})]
    with pytest.raises(LLMRateLimitError, match="slow down") as caught:
        await ask(models)
    error = caught.value
    assert (error.retry_after_seconds, error.error_type, error.error_code, error.param) == (
        7.0,
        "t",
        "rate",
        "p",
    )


async def test_a_redirect_is_an_error_and_takes_no_key_along(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply(status=307, headers={"Location": f"{stub.url}/elsewhere"})]
    with pytest.raises(LLMClientError):
        await ask(models)
    assert len(stub.requests) == 1


async def test_silence_is_a_timeout(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("late", delay_s=0.4)]
    with pytest.raises(LLMTimeoutError):
        await ask(models, timeout=0.05)


async def test_the_deadline_of_a_request_holds(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply("late", delay_s=0.4)]
    with pytest.raises(LLMTimeoutError):
        await ask(models, LLMRequest(prompt="q", deadline_s=0.05))


async def test_nobody_listens(models: MakeModels) -> None:
    with pytest.raises(LLMConnectionError):
        await ask(models, base_url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"choices": 5}', b'{"choices": [{"message": 3}]}'])
async def test_an_answer_that_is_none(stub: Stub, models: MakeModels, body: bytes) -> None:
    stub.replies = [Reply(raw=body, headers={"Content-Type": "application/json"})]
    with pytest.raises(LLMClientError):
        await ask(models)


async def test_an_error_inside_a_stream(stub: Stub, models: MakeModels) -> None:
    event = b'data: {"error": {"message": "broke", "code": 503}}\n\n'
    stub.replies = [Reply(raw=event, headers={"Content-Type": "text/event-stream"})]
    with pytest.raises(LLMServerError, match="broke"):
        await ask(models, LLMRequest(prompt="q", streaming=True))


async def test_a_piece_of_a_stream_that_is_no_json_is_shown(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply(raw=b"data: <html>\n\n", headers={"Content-Type": "text/event-stream"})]
    with pytest.raises(LLMResponseValidationError, match="<html>"):
        await ask(models, LLMRequest(prompt="q", streaming=True), transport="http")


async def test_an_endless_line_is_bounded(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply(raw=b"data: " + b"x" * (9 << 20), headers={"Content-Type": "text/event-stream"})]
    with pytest.raises(LLMResponseValidationError, match="more than 8 MiB"):
        await ask(models, LLMRequest(prompt="q", streaming=True), transport="http")


async def test_a_missing_key_names_the_ways_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NVIDIA_API_KEY", raising=False)
    model = create_models([Model(type="main", engine="nim", model="m")])["main"]
    with pytest.raises(MissingKeyError) as caught:
        await complete(model, HELLO)
    for words in ("NVIDIA_API_KEY is not set", "Three ways on", "local endpoint", "offline configuration"):
        assert words in str(caught.value)


# --- retries -------------------------------------------------------------------------------------------------------


async def test_a_failure_that_passes_is_retried(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply(status=500, headers={"Retry-After": "0"}), Reply("second")]
    assert (await ask(models, max_retries=1)).text == "second"


async def test_retries_are_bounded(stub: Stub, models: MakeModels) -> None:
    stub.replies = [Reply(status=503, headers={"Retry-After": "0"})]
    with pytest.raises(LLMServerError):
        await ask(models, max_retries=2)
    assert len(stub.requests) == 3


@pytest.mark.parametrize(
    ("status", "headers"),
    [(400, {}), (401, {}), (500, {"x-should-retry": "false"}), (429, {"Retry-After": "3600"})],
)
async def test_what_will_not_pass_is_not_retried(
    stub: Stub, models: MakeModels, status: int, headers: dict[str, str]
) -> None:
    stub.replies = [Reply(status=status, headers=headers)]
    with pytest.raises(LLMClientError):
        await ask(models, max_retries=2)
    assert len(stub.requests) == 1


async def test_a_server_that_closes_kept_connections_is_no_failure(stub: Stub, models: MakeModels) -> None:
    """Without any retries: nothing of the answer had come."""
    stub.replies = [Reply("ok", headers={"Connection": "close"})]
    model = models(transport="http")["main"]
    assert [(await complete(model, HELLO)).text for _ in range(3)] == ["ok"] * 3
