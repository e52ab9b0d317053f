"""A conversation over messages behind the chat's events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from app.cli.chat.driver import ConversationError
from app.cli.chat.messages_conversation import Message, MessagesConversation
from app.cli.chat.turn_log import ModelCall, TurnLog
from app.cli.logs import Verbosity


class Parrot:
    """Repeats the last message, with the number of messages it has heard."""

    async def answer(self, messages: Sequence[Message]) -> str:
        if messages[-1]["content"] == "fail":
            raise RuntimeError("no model")
        return f"{messages[-1]['content']} {len(messages)}"

    async def pieces(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        for word in (await self.answer(messages)).split():
            yield word

    def calls(self) -> Sequence[ModelCall]:
        return ()

    async def close(self) -> None:
        """There is nothing to let go of."""


def conversation_with(
    answering: Parrot, on_piece: Callable[[str | None], None] | None = None
) -> MessagesConversation:
    return MessagesConversation(answering, TurnLog(Verbosity(), lambda text, tone: None), on_piece)


def said(text: str) -> dict[str, str]:
    return {"type": "UtteranceUserActionFinished", "action_uid": "u", "final_transcript": text}


async def scripts(conversation: MessagesConversation, text: str) -> list[str]:
    return [event["script"] for event in await conversation.tell([said(text)])]


async def test_history_grows_with_each_turn_and_restart_forgets_it() -> None:
    conversation = conversation_with(Parrot())
    assert await scripts(conversation, "hi") == ["hi 1"]
    assert await scripts(conversation, "hi") == ["hi 3"]
    conversation.restart()
    assert await scripts(conversation, "hi") == ["hi 1"]


async def test_a_failed_turn_leaves_the_history_as_it_was() -> None:
    conversation = conversation_with(Parrot())
    with pytest.raises(ConversationError, match="no model"):
        await conversation.tell([said("fail")])
    assert await scripts(conversation, "hi") == ["hi 1"]


async def test_streamed_pieces_come_as_they_are_written_and_are_remembered_whole() -> None:
    heard: list[str | None] = []
    conversation = conversation_with(Parrot(), heard.append)
    assert await conversation.tell([said("hi")]) == []
    assert heard == ["hi", "1", None]
    await conversation.tell([said("again")])
    assert heard[3:] == ["again", "3", None]


async def test_other_events_need_no_answer() -> None:
    assert await conversation_with(Parrot()).tell([{"type": "CheckLocalAsync"}]) == []


def test_the_debugger_says_why_it_has_no_answer() -> None:
    assert "Colang 2.x" in conversation_with(Parrot()).inspect("tree --all")
