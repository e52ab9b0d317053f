"""Actions that run on an actions server: a JSON call over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rails_engine.actions.plain import to_plain
from rails_engine.errors import ActionServerError, ActionTimeoutError

if TYPE_CHECKING:
    import aiohttp

MAX_ANSWER_BYTES = 16 << 20
DEFAULT_TIMEOUT_S = 60.0


class ActionsServer:
    """The server at `url`. One session is opened by the first call and closed by `close`."""

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/v1/actions/run"
        self._session: aiohttp.ClientSession | None = None

    async def run(self, name: str, parameters: Mapping[str, Any], timeout_s: float | None = None) -> Any:
        """The result of action `name`.

        Raises:
            ActionServerError: the server cannot be reached, or reports a failure.
            ActionTimeoutError: it does not answer in time.
        """
        import aiohttp

        body = json.dumps({"action_name": name, "action_parameters": to_plain(parameters)}, default=str)
        limit = aiohttp.ClientTimeout(total=timeout_s or DEFAULT_TIMEOUT_S)
        headers = {"Content-Type": "application/json"}
        try:
            async with self._opened().post(self._url, data=body, headers=headers, timeout=limit) as response:
                text = await response.content.read(MAX_ANSWER_BYTES)
                return self._result(name, response.status, text)
        except TimeoutError as error:
            raise ActionTimeoutError(f"Action '{name}': no answer from {self._url} in time.") from error
        except aiohttp.ClientError as error:
            raise ActionServerError(f"Action '{name}': {self._url} cannot be reached: {error}") from error

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession()
        return self._session

    def _result(self, name: str, status: int, text: bytes) -> Any:
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
        if self._session is not None:
            await self._session.close()
