"""A conversation over events: the engine of a Colang 2.x configuration and the state that it hands back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.cli.chat.driver import ConversationError
from app.cli.chat.inspect import Picture, answer
from app.cli.chat.values import UmimEvent
from app.cli.faults import describe

if TYPE_CHECKING:
    from rails_engine import LLMRails, State  # type: ignore[attr-defined]

_log = logging.getLogger(__name__)


class EventsConversation:
    """Holds the state between turns; a failed turn leaves it as it was."""

    def __init__(self, rails: LLMRails) -> None:
        self._rails = rails
        self._state: State | None = None

    async def tell(self, events: Sequence[UmimEvent]) -> list[UmimEvent]:
        try:
            outcome, self._state = await self._rails.process_events_async(
                [dict(e) for e in events], self._state
            )
        except Exception as error:  # the rim: a failed turn must not end the chat
            _log.debug("the turn failed", exc_info=True)
            raise ConversationError(describe(error)) from error
        return list(outcome)

    def restart(self) -> None:
        self._state = None

    def inspect(self, question: str) -> str:
        return answer(question, Picture())
