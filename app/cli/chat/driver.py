"""The loop of a chat: it alternates the session with the conversation, and waits for lines and timers."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from app.cli.chat.session import Session
from app.cli.chat.values import Command, Inspect, Leave, Restart, Show, Tell, Tone, UmimEvent
from app.cli.faults import describe

_log = logging.getLogger(__name__)


class Screen(Protocol):
    """Where lines come from and texts go to."""

    eager: bool
    """True where a line is wanted even while the bot is at work (a person may interrupt)."""

    async def read(self) -> str | None:
        """The next line; None when there will be no more."""
        ...

    def show(self, text: str, tone: Tone) -> None:
        """Show a whole text."""

    def piece(self, text: str | None) -> None:
        """A piece of the bot's words while they are written; None ends them."""
        ...

    def working(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        """Entered while the bot is at work, so that a long wait can be seen; `stop` ends the work early."""
        ...

    def awaiting(self, results: bool) -> None:
        """Told after each turn whether actions still run whose results the bot waits for."""
        ...


class Conversation(Protocol):
    """The engine's side of a chat: it owns the state."""

    async def tell(self, events: Sequence[UmimEvent]) -> list[UmimEvent]:
        """Process the events and return those for the outside.

        Raises:
            ConversationError: the turn failed; the conversation stands as it was before.
        """
        ...

    def restart(self) -> None:
        """Forget the state; the next `tell` begins anew."""

    def inspect(self, question: str) -> str:
        """Answer a question of the debugger."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class ConversationError(Exception):
    """A turn failed; the message is for the user."""


@contextmanager
def failing_in_words() -> Iterator[None]:
    """A turn runs in here; whatever it raises becomes a `ConversationError`, since it must not end the chat."""
    try:
        yield
    except ConversationError:
        raise
    except Exception as error:  # the rim: users' actions and models may raise anything
        _log.debug("the turn failed", exc_info=True)
        raise ConversationError(describe(error)) from error


class Driver:
    """Runs one chat to its end."""

    def __init__(
        self, conversation: Conversation, session: Session, screen: Screen, clock: Callable[[], float]
    ) -> None:
        self._conversation = conversation
        self._session = session
        self._screen = screen
        self._clock = clock
        self._over = False
        self._reading: asyncio.Task[str | None] | None = None

    async def run(self) -> None:
        """Hold the chat until its user leaves or the lines end; then the conversation is closed, whatever ended it."""
        try:
            await self.perform(self._session.begin())
            while not self._over:
                if self._screen.eager or not self._session.busy:
                    self._read()
                await self._wait()
                if self._reading is not None and self._reading.done():
                    line, self._reading = self._reading.result(), None
                    # A person's prompt is back before the answer is: whoever speaks next may be either side.
                    if self._screen.eager and line is not None:
                        self._read()
                    await self.perform([Leave()] if line is None else self._session.typed(line))
                else:
                    await self.perform(self._session.tick())
        finally:
            if self._reading is not None:
                self._reading.cancel()
            await self._conversation.close()

    def _read(self) -> None:
        if self._reading is None:
            self._reading = asyncio.create_task(self._screen.read())

    async def _wait(self) -> None:
        """Until a line is there or the session's next moment has come."""
        due = self._session.next_due()
        left = None if due is None else max(0.0, due - self._clock())
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=left)
        elif left is not None:
            await asyncio.sleep(left)

    async def perform(self, commands: Sequence[Command]) -> None:
        """Carry out commands and whatever follows from them, until the conversation rests."""
        waiting = deque(commands)
        told = False
        while not self._over:
            if not waiting:
                waiting.extend(self._session.settled() if told else ())
                told = False
            if not waiting:
                break
            command = waiting.popleft()
            told = told or isinstance(command, Tell)
            waiting.extend(await self._carry_out(command))
        self._screen.awaiting(self._session.busy)

    async def _carry_out(self, command: Command) -> list[Command]:
        match command:
            case Show(text, tone):
                self._screen.show(text, tone)
            case Tell(events):
                return await self._tell(events)
            case Inspect(question):
                self._screen.show(self._conversation.inspect(question), Tone.NOTE)
            case Restart():
                self._conversation.restart()
            case Leave():
                self._over = True
        return []

    async def _tell(self, events: Sequence[UmimEvent]) -> list[Command]:
        work = asyncio.ensure_future(self._conversation.tell(events))
        try:
            with self._screen.working(work.cancel):
                await self._done(work)
            outcome = work.result()
        except ConversationError as error:
            self._session.failed()
            return [Show(str(error), Tone.ERROR)]
        except asyncio.CancelledError:
            if not work.cancelled():
                raise
            self._session.failed()
            return [Show("Stopped.", Tone.NOTE)]
        return [command for event in outcome for command in self._session.happened(event)]

    async def _done(self, work: asyncio.Future[list[UmimEvent]]) -> None:
        """Wait for a turn, unless the user leaves meanwhile: then it ends here."""
        try:
            waiting: list[asyncio.Future[Any]] = [work]
            if self._reading is not None:
                waiting.append(self._reading)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and self._reading is not None and self._reading.result() is None:
                self._over = True
                work.cancel()
            await asyncio.wait({work})
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait({work})
            raise
