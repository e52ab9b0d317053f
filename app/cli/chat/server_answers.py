"""A guardrails server as something that answers messages: its `/v1/chat/completions`, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from app.cli.chat.driver import ConversationError
from app.cli.chat.messages_conversation import Message
from app.cli.chat.turn_log import ModelCall
from rails_engine.http import (
    Exchange,
    HTTPAnswerSizeError,
    HTTPClientError,
    HTTPTimeoutError,
    Incoming,
    Pool,
    RequestLine,
    Terms,
)

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
        self._pool = Pool()

    async def answer(self, messages: Sequence[Message]) -> str:
        """The server's answer.

        Raises:
            ConversationError: it gave none; says why.
        """
        async with self._asked(messages, stream=False) as answer:
            return _text_of(_json(await _whole(answer)))

    async def pieces(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        """The answer piece by piece.

        Raises:
            ConversationError: as `answer`, at any point.
        """
        from rails_engine.llm import EventBuffer

        async with self._asked(messages, stream=True) as answer:
            events = EventBuffer()
            async for piece in answer.pieces():
                for data in events.feed(piece):
                    if data != DONE:
                        yield _delta_of(_json(data))

    def calls(self) -> Sequence[ModelCall]:
        """What the server asked of models is its own affair."""
        return ()

    async def close(self) -> None:
        """See `Answering.close`."""
        await self._pool.close()

    @asynccontextmanager
    async def _asked(self, messages: Sequence[Message], *, stream: bool) -> AsyncIterator[Incoming]:
        """One request under way; whatever keeps the server from answering becomes a sentence.

        An answer changes nothing on the server, so that one may be asked for again where it had closed the connection
        while the user was typing.
        """
        terms = Terms(CONNECT_SECONDS, None, SILENCE_SECONDS, stream, resend=True, limit=MAX_ANSWER_BYTES)
        body = json.dumps(self._body(messages, stream=stream)).encode()
        try:
            line = RequestLine.of("POST", self._url, {"Content-Type": "application/json"})
            async with Exchange(self._pool, line, body, terms) as answer:
                if answer.status >= 300:
                    raise await self._refused(answer)
                yield answer
        except HTTPTimeoutError as error:
            raise ConversationError(f"No answer from {self._url}: it did not answer in time") from error
        except HTTPAnswerSizeError as error:
            told = f"The server's answer is larger than {MAX_ANSWER_BYTES >> 20} MiB"
            raise ConversationError(told) from error
        except HTTPClientError as error:
            raise ConversationError(f"No answer from {self._url}: {error}") from error

    def _body(self, messages: Sequence[Message], *, stream: bool) -> dict[str, Any]:
        """The request. Older servers read `config_id` beside the messages, newer ones under `guardrails`."""
        chosen = {"config_id": self._config_id, "guardrails": {"config_id": self._config_id}}
        return {"model": self._config_id, "messages": list(messages), "stream": stream, **chosen}

    async def _refused(self, answer: Incoming) -> ConversationError:
        moved = answer.headers.get("location")
        if moved and answer.status < 400:
            return ConversationError(f"The server is elsewhere (HTTP {answer.status}): {moved}")
        body = await _whole(answer)
        told = _error_in(body) or body.strip()[:200] or "no reason given"
        return ConversationError(f"The server refused (HTTP {answer.status}): {told}")


async def _whole(answer: Incoming) -> str:
    return (await answer.read()).decode("utf-8", "replace")


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
