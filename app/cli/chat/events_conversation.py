"""A conversation over events: the engine of a Colang 2.x configuration and the state that it hands back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.cli.chat.driver import failing_in_words
from app.cli.chat.flow_snapshot import snapshot_of
from app.cli.chat.inspect import answer
from app.cli.chat.turn_log import TurnLog, TurnRecord
from app.cli.chat.values import UmimEvent

if TYPE_CHECKING:
    from rails_engine import LLMRails, State


class EventsConversation:
    """Holds the state between turns; a failed turn leaves it as it was.

    With a `seed`, what the flows leave to chance comes out the same in every run.
    """

    def __init__(
        self,
        rails: LLMRails,
        turn_log: TurnLog,
        seed: int | None = None,
    ) -> None:
        self._rails = rails
        self._turn_log = turn_log
        self._seed = seed
        self._state = self._beginning()

    def _beginning(self) -> State | None:
        from rails_engine import seeded

        return None if self._seed is None else seeded(self._rails.program, self._seed)

    async def tell(self, events: Sequence[UmimEvent]) -> list[UmimEvent]:
        """See `Conversation.tell`."""
        with failing_in_words():
            outcome, self._state = await self._rails.process_events_async(
                [dict(e) for e in events], self._state
            )
        self._turn_log.report(TurnRecord(events, self._rails.explain().llm_calls, outcome))
        return list(outcome)

    def restart(self) -> None:
        """See `Conversation.restart`."""
        self._state = self._beginning()

    async def close(self) -> None:
        """See `Conversation.close`."""
        await self._rails.aclose()

    def inspect(self, question: str) -> str:
        """See `Conversation.inspect`."""
        machine = self._state.snapshot.machine if self._state and self._state.snapshot else None
        return answer(question, snapshot_of(self._rails.program, machine))
