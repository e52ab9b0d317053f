"""Actions that are no rails: the time of day, and questions to Wolfram Alpha."""

from __future__ import annotations

from datetime import datetime

import pytest

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.http import HTTPConnectionError, HTTPResponse, RecordingHTTPClient

ASKING = """
define flow
  event UserMessage
  $answer = execute %s
  bot tell answer

define bot tell answer
  "It is $answer."
"""
QUESTION = 'wolfram alpha request(query="2+2")'
SORRY = "I'm sorry, an internal error has occurred."


async def answer(call: str, client: RecordingHTTPClient | None = None) -> str:
    rails = LLMRails(RailsConfig.from_content(ASKING % call, "models: []"))
    if client is not None:
        rails.register_action_param("http_client", client)
    reply = await rails.generate_async(messages=[{"role": "user", "content": "how many?"}])
    return str(reply["content"])


async def test_the_time_of_day_is_local_and_has_its_offset() -> None:
    told = (await answer("GetCurrentDateTimeAction")).removeprefix("It is ").removesuffix(".")
    assert datetime.fromisoformat(told).tzinfo is not None


async def test_a_question_goes_to_wolfram_alpha_and_its_answer_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WOLFRAM_ALPHA_APP_ID", "secret")
    client = RecordingHTTPClient(
        [HTTPResponse(200, content=b"4"), HTTPResponse(200, content=b"7"), HTTPResponse(501)]
    )
    assert await answer(QUESTION, client) == "It is 4."
    assert await answer("wolfram alpha request", client) == "It is 7."
    assert await answer(QUESTION, client) == "It is None."
    assert [(asked.method, (asked.params or {})["i"]) for asked in client.requests] == [
        ("GET", "2+2"),
        ("GET", "how many?"),
        ("GET", "2+2"),
    ]


@pytest.mark.parametrize(
    "fault", [HTTPResponse(403, content=b"bad id"), HTTPConnectionError("?appid=secret")]
)
async def test_a_service_that_fails_ends_the_turn_and_keeps_the_key(
    fault: HTTPResponse | HTTPConnectionError,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("WOLFRAM_ALPHA_APP_ID", "secret")
    assert await answer(QUESTION, RecordingHTTPClient([fault])) == SORRY
    assert "secret" not in caplog.text


async def test_without_a_key_the_bot_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WOLFRAM_ALPHA_APP_ID", raising=False)
    assert await answer(QUESTION) == (
        "Wolfram Alpha has no app ID: the environment variable WOLFRAM_ALPHA_APP_ID is not set."
    )
