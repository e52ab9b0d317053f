"""A guardrails server as something that answers messages: its `/v1/chat/completions`, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from app.cli.chat.driver import ConversationError
from app.cli.chat.inside import ModelCall
from app.cli.chat.messages_conversation import Message

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

PATH: Final = "/v1/chat/completions"
CONNECT_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 300.0
MAX_ANSWER_BYTES: Final = 8 << 20
DONE: Final = "[DONE]"


class ServerAnswers:
    """Talks to the server at `url`; `config_id` names one of its configurations."""

    def __init__(self, url: str, config_id: str) -> None:
        self._url = url.rstrip("/").removesuffix("/v1") + PATH
        self._config_id = config_id
        self._session: ClientSession | None = None

    async def answer(self, messages: Sequence[Message]) -> str:
        """The server's answer.

        Raises:
            ConversationError: it gave none; says why.
        """
        async with _Asked(self, messages, stream=False) as response:
            return _text_of(_json(await _whole(response)))

    async def pieces(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        """The answer piece by piece.

        Raises:
            ConversationError: as `answer`, at any point.
        """
        from rails_engine.llm import EventBuffer

        async with _Asked(self, messages, stream=True) as response:
            events = EventBuffer()
            async for chunk in response.content.iter_any():
                for data in events.feed(chunk):
                    if data != DONE:
                        yield _delta_of(_json(data))

    def calls(self) -> Sequence[ModelCall]:
        """What the server asked of models is its own affair."""
        return ()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def session(self) -> ClientSession:
        """The connections, made when they are first needed: they belong to the running loop."""
        from aiohttp import ClientSession, ClientTimeout

        if self._session is None:
            timeout = ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
            self._session = ClientSession(timeout=timeout)
        return self._session

    @property
    def url(self) -> str:
        return self._url

    def body(self, messages: Sequence[Message], *, stream: bool) -> dict[str, Any]:
        """The request. Older servers read `config_id` beside the messages, newer ones under `guardrails`."""
        chosen = {"config_id": self._config_id, "guardrails": {"config_id": self._config_id}}
        return {"model": self._config_id, "messages": list(messages), "stream": stream, **chosen}


class _Asked:
    """One request under way; whatever keeps the server from answering becomes a sentence."""

    def __init__(self, server: ServerAnswers, messages: Sequence[Message], *, stream: bool) -> None:
        self._server = server
        self._body = server.body(messages, stream=stream)
        self._response: ClientResponse | None = None

    async def __aenter__(self) -> ClientResponse:
        from aiohttp import ClientError

        try:
            self._response = await self._server.session().post(self._server.url, json=self._body)
        except (ClientError, TimeoutError, ValueError) as error:
            raise self._fault(error) from error
        if self._response.status >= 400:
            body = await _whole(self._response)
            self._response.close()
            told = _error_in(body) or body.strip()[:200] or "no reason given"
            raise ConversationError(f"The server refused (HTTP {self._response.status}): {told}")
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        from aiohttp import ClientError

        if self._response is not None:
            self._response.close()
        if isinstance(error, ClientError | TimeoutError):
            raise self._fault(error) from error

    def _fault(self, error: BaseException) -> ConversationError:
        reason = "it did not answer in time" if isinstance(error, TimeoutError) else str(error)
        return ConversationError(f"No answer from {self._server.url}: {reason}")


async def _whole(response: ClientResponse) -> str:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ConversationError(f"The server's answer is larger than {MAX_ANSWER_BYTES >> 20} MiB")
    return body.decode("utf-8", "replace")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConversationError(
            f"The server answered with something that is no JSON: {text[:200]!r}"
        ) from error


def _error_in(body: str) -> str | None:
    """The message of an error body, where it is one."""
    try:
        error = json.loads(body).get("error")
    except (ValueError, AttributeError):
        return None
    return str(error.get("message") or error) if isinstance(error, Mapping) else error and str(error)


def _text_of(answer: Any) -> str:
    """The text of a completion, or of the list of messages that older servers answer with."""
    _refuse_error(answer)
    try:
        message = answer["choices"][0]["message"] if "choices" in answer else answer["messages"][0]
        return str(message.get("content") or "")
    except (LookupError, TypeError, AttributeError) as error:
        raise ConversationError(f"The server's answer has no message: {str(answer)[:200]}") from error


def _delta_of(chunk: Any) -> str:
    """The text that one event adds."""
    _refuse_error(chunk)
    try:
        choices = chunk.get("choices") or [{}]
        return str((choices[0].get("delta") or {}).get("content") or "")
    except (LookupError, TypeError, AttributeError) as error:
        raise ConversationError(f"The server sent an event that is none: {str(chunk)[:200]}") from error


def _refuse_error(answer: Any) -> None:
    if isinstance(answer, Mapping) and answer.get("error"):
        error = answer["error"]
        raise ConversationError(str(error.get("message") if isinstance(error, Mapping) else error))
