"""A conversation over messages: the engine of a Colang 1.0 configuration, or a server, behind the chat's events.

Such an engine knows one thing only, an answer to a list of messages. So the user's utterance becomes a message, and the
answer comes back as an utterance of the bot.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol

from app.cli.chat.driver import failing_in_words
from app.cli.chat.turn_log import ModelCall, TurnLog, TurnRecord
from app.cli.chat.values import UmimEvent

Message = dict[str, Any]


class Answering(Protocol):
    """What answers a list of messages, whole or piece by piece."""

    async def answer(self, messages: Sequence[Message]) -> str:
        """The whole answer.

        Raises:
            ConversationError: there is none; the message is for the user.
        """

    def pieces(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        """The answer piece by piece.

        Raises:
            ConversationError: as `answer`, at any point of the iteration.
        """

    def calls(self) -> Sequence[ModelCall]:
        """The model calls of the last answer."""
        ...

    async def close(self) -> None:
        """Let go of connections."""


class MessagesConversation:
    """Keeps the messages; a failed turn leaves them as they were.

    With `on_piece`, answers are given to it piece by piece while they are written; None marks the end of one.
    """

    def __init__(
        self, answering: Answering, turn_log: TurnLog, on_piece: Callable[[str | None], None] | None = None
    ) -> None:
        self._answering = answering
        self._turn_log = turn_log
        self._on_piece = on_piece
        self._messages: list[Message] = []

    async def tell(self, events: Sequence[UmimEvent]) -> list[UmimEvent]:
        """See `Conversation.tell`."""
        said = [
            event["final_transcript"] for event in events if event["type"] == "UtteranceUserActionFinished"
        ]
        if not said:
            return []
        asked = [*self._messages, *({"role": "user", "content": text} for text in said)]
        with failing_in_words():
            answer = await self._answer(asked)
        self._messages = [*asked, {"role": "assistant", "content": answer}]
        spoken = {"type": "StartUtteranceBotAction", "action_uid": str(uuid.uuid4()), "script": answer}
        self._turn_log.report(TurnRecord(events, self._answering.calls(), [spoken]))
        return [spoken] if self._on_piece is None else []

    async def _answer(self, messages: Sequence[Message]) -> str:
        if self._on_piece is None:
            return await self._answering.answer(messages)
        pieces: list[str] = []
        try:
            async for piece in self._answering.pieces(messages):
                self._on_piece(piece)
                pieces.append(piece)
        finally:
            if pieces:
                self._on_piece(None)
        return "".join(pieces)

    def restart(self) -> None:
        """See `Conversation.restart`."""
        self._messages = []

    async def close(self) -> None:
        """See `Conversation.close`."""
        await self._answering.close()

    def inspect(self, question: str) -> str:
        """See `Conversation.inspect`."""
        return (
            f"!{question.split(maxsplit=1)[0]} looks into Colang 2.x flows, and this conversation has none."
        )
