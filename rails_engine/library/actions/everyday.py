"""Actions that are no rails: the time of day, and questions to Wolfram Alpha."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rails_engine.actions import ActionResult, action
from rails_engine.http import HTTPClient, HTTPClientError, http_call
from rails_engine.library.actions.endpoints import EndpointError

WOLFRAM_ALPHA = "https://api.wolframalpha.com/v2/result"
WOLFRAM_ALPHA_KEY = "WOLFRAM_ALPHA_APP_ID"
NO_KEY = f"Wolfram Alpha has no app ID: the environment variable {WOLFRAM_ALPHA_KEY} is not set."
NOT_UNDERSTOOD = 501


@action(name="GetCurrentDateTimeAction")
async def current_date_time() -> str:
    """The local time with its offset, as ISO 8601."""
    return datetime.now(UTC).astimezone().isoformat()


@action(name="wolfram alpha request")
async def wolfram_alpha_request(
    query: str | None = None,
    context: Mapping[str, Any] | None = None,
    http_client: HTTPClient | None = None,
) -> ActionResult:
    """The short answer to `query`, by default to the user's last message; None where there is none.

    Without `WOLFRAM_ALPHA_APP_ID` the bot says so, and the turn ends.

    Raises:
        EndpointError: the service cannot be reached, or refuses.
    """
    key = os.environ.get(WOLFRAM_ALPHA_KEY)
    if not key:
        return ActionResult(events=_said(NO_KEY))
    question = query or (context or {}).get("last_user_message") or ""
    parameters = {"appid": key, "i": question}
    try:
        answer = await http_call(http_client, "GET", WOLFRAM_ALPHA, raise_for_status=False, params=parameters)
    except HTTPClientError as error:
        # The address has the key in it, so the client's own words are not passed on.
        raise EndpointError(f"{WOLFRAM_ALPHA}: {type(error).__name__}") from None
    if answer.status_code == NOT_UNDERSTOOD:
        return ActionResult(return_value=None)
    if not answer.is_success:
        raise EndpointError(f"{WOLFRAM_ALPHA}: HTTP {answer.status_code}: {answer.content[:200]!r}")
    return ActionResult(return_value=answer.text)


def _said(text: str) -> list[dict[str, Any]]:
    """The events of Colang 1.0 by which the bot says `text` and the turn ends."""
    return [
        {"type": "BotIntent", "intent": "inform wolfram app id not set"},
        {"type": "StartUtteranceBotAction", "script": text},
        {"type": "BotIntent", "intent": "stop"},
    ]
