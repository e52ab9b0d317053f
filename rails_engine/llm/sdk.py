"""Remote models through the `openai` SDK, chosen by `parameters.transport: sdk`.

It serves where the SDK's own environment variables, its logging, or the instrumentation that other packages hang on
it are wanted. Clients are made when first needed, one for each event loop and endpoint, and shared by all requests.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rails_engine.errors import (
    LLMClientError,
    LLMConnectionError,
    LLMResponseValidationError,
    LLMTimeoutError,
)
from rails_engine.llm.endpoint import Endpoint, Reply
from rails_engine.llm.failures import error_of
from rails_engine.loops import PerLoop

if TYPE_CHECKING:
    import openai

_FIRST_CLASS = ("model", "messages", "prompt")


class SdkTransport:
    """Implements `Transport` on `openai.AsyncOpenAI`; retries are left to the wrapper round the model."""

    def __init__(self) -> None:
        self._clients: PerLoop[dict[str, openai.AsyncOpenAI]] = PerLoop(dict)

    def channel(self, endpoint: Endpoint) -> SdkChannel:
        """See `Transport.channel`."""
        return SdkChannel(self, endpoint)

    def client(self, endpoint: Endpoint) -> openai.AsyncOpenAI:
        """The client of the running loop for an endpoint, made if there is none yet."""
        clients = self._clients.get()
        key = f"{endpoint.base_url} {endpoint.provider} {hash(endpoint.api_key)}"
        if key not in clients:
            clients[key] = _new_client(endpoint)
        return clients[key]

    async def close(self) -> None:
        """Close the clients of every loop; those of other running loops are closed there."""
        here = asyncio.get_running_loop()
        for loop, clients in self._clients.drain():
            for client in clients.values():
                if loop is here:
                    await client.close()
                elif loop.is_running():
                    asyncio.run_coroutine_threadsafe(client.close(), loop)


class SdkChannel:
    """Implements `Channel`."""

    def __init__(self, transport: SdkTransport, endpoint: Endpoint) -> None:
        self._transport = transport
        self._endpoint = endpoint

    async def answer(self, body: Mapping[str, Any], timeout_s: float) -> Reply:
        """See `Channel.answer`."""
        api = self._api(timeout_s)
        with self._translated():
            answer = await api.with_raw_response.create(**_arguments(body))
            return Reply(_object(json.loads(answer.http_response.content)), dict(answer.headers))

    async def events(self, body: Mapping[str, Any], timeout_s: float) -> AsyncIterator[Reply]:
        """See `Channel.events`."""
        api = self._api(timeout_s)
        with self._translated():
            async with await api.create(**_arguments(body), stream=True) as events:
                headers = dict(events.response.headers)
                async for event in events:
                    yield Reply(event.model_dump(exclude_unset=True, warnings=False), headers)

    def _api(self, timeout_s: float) -> Any:
        client = self._transport.client(self._endpoint).with_options(timeout=timeout_s)
        return client.chat.completions if self._endpoint.mode == "chat" else client.completions

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import openai

        try:
            yield
        except openai.APIError as error:
            raise _translated(error, self._endpoint) from error
        except ValueError as error:
            raise LLMResponseValidationError(str(error), **self._endpoint.described()) from error


def _arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    first = {name: body[name] for name in _FIRST_CLASS if name in body}
    rest = {name: value for name, value in body.items() if name not in (*_FIRST_CLASS, "stream")}
    return {**first, "extra_body": rest}


def _new_client(endpoint: Endpoint) -> openai.AsyncOpenAI:
    import openai

    headers = endpoint.request_headers()
    own = {name: value for name, value in headers.items() if name != "Authorization"}
    # By itself the SDK follows redirects, and takes every header but one along to wherever they lead.
    return openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key or "none",
        default_headers=own,
        default_query=dict(endpoint.query),
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
    )


def _object(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise ValueError("the answer is no JSON object")  # noqa: TRY004 - a fault of the endpoint, as bad JSON is
    return data


def _translated(error: openai.APIError, endpoint: Endpoint) -> LLMClientError:
    import openai

    if isinstance(error, openai.APITimeoutError):
        return LLMTimeoutError(0, str(error), **endpoint.described())
    if isinstance(error, openai.APIStatusError):
        headers = {name.lower(): value for name, value in error.response.headers.items()}
        return error_of(error.status_code, headers, _text(error), endpoint)
    if isinstance(error, openai.APIConnectionError):
        return LLMConnectionError(0, str(error.__cause__ or error), **endpoint.described())
    return error_of(500, {}, json.dumps({"error": {"message": error.message}}), endpoint)


def _text(error: openai.APIStatusError) -> str:
    return (
        json.dumps({"error": error.body})
        if isinstance(error.body, dict)
        else str(error.body or error.message)
    )
