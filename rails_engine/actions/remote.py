"""Actions that run on an actions server: a JSON call over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rails_engine.actions.plain import to_plain
from rails_engine.actions.registry import Action
from rails_engine.errors import ActionNotFoundError, ActionServerError, ActionTimeoutError
from rails_engine.http import HTTPAnswerSizeError, HTTPClientError, HTTPTimeoutError, PooledHTTPClient

MAX_ANSWER_BYTES = 16 << 20
DEFAULT_TIMEOUT_S = 60.0


class ActionsServer:
    """The server at `url`; connections are opened by the first call and closed by `close`."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/v1/actions/run"
        self._client = PooledHTTPClient(timeout=DEFAULT_TIMEOUT_S, limit=MAX_ANSWER_BYTES)

    def action(self, name: str, known: Action | None = None) -> Action:
        """The server's action of this name; `known` is what is registered here under it, and says how it is run."""

        async def run(**parameters: Any) -> Any:
            return await self.run(name, parameters)

        return Action(name, run, execute_async=known.execute_async if known else False)

    async def run(self, name: str, parameters: Mapping[str, Any], timeout_s: float | None = None) -> Any:
        """The result of action `name`, any JSON value.

        Raises:
            ActionNotFoundError: the server has no such action.
            ActionServerError: the server cannot be reached, reports a failure, or answers with something else.
            ActionTimeoutError: it does not answer in time.
        """
        body = json.dumps({"action_name": name, "action_parameters": to_plain(parameters)}, default=str)
        headers = {"Content-Type": "application/json"}
        try:
            response = await self._client.request(
                "POST", self._url, content=body, headers=headers, timeout=timeout_s
            )
        except HTTPTimeoutError as error:
            raise ActionTimeoutError(f"Action '{name}': no answer from {self._url} in time.") from error
        except HTTPAnswerSizeError as error:
            raise ActionServerError(f"Action '{name}': {error}") from error
        except HTTPClientError as error:
            raise ActionServerError(f"Action '{name}': the server cannot be reached: {error}") from error
        return self._result(name, response.status_code, response.content)

    def _result(self, name: str, status: int, text: bytes) -> Any:
        if status == 404:
            raise ActionNotFoundError(f"Action '{name}' not found at {self._url}.")
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise ActionServerError(
                f"Action '{name}': {self._url} answered {status} without JSON."
            ) from error
        if status != 200 or not isinstance(answer, dict) or answer.get("status") != "success":
            raise ActionServerError(f"Action '{name}' failed on {self._url} (HTTP {status}): {text[:200]!r}")
        return answer.get("result")

    async def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        await self._client.close()
