"""Talks with a bundled configuration through the chat's own session, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from app.bundled import find_config
from app.cli.chat.driver import Driver
from app.cli.chat.events_conversation import EventsConversation
from app.cli.chat.session import Session
from app.cli.chat.turn_log import TurnLog
from app.cli.chat.values import Tone
from app.cli.logs import Verbosity
from app.wiring import open_rails


@dataclass
class Page:
    """A screen that keeps what was shown."""

    shown: list[str] = field(default_factory=list)
    eager: bool = False

    async def read(self) -> str | None:
        return None

    def show(self, text: str, tone: Tone) -> None:
        self.shown.append(text if tone is Tone.SPEECH else f"[{tone.value}] {text}")

    def piece(self, text: str | None) -> None:
        self.shown.append(f"[piece] {text}")

    def working(self, stop: Callable[[], object]) -> AbstractContextManager[None]:
        return nullcontext()

    def awaiting(self, results: bool) -> None:
        """Nothing to show."""


class Desk:
    """One conversation with a bundled configuration."""

    def __init__(self, config: str) -> None:
        self.now = 0.0
        numbers = itertools.count(1)
        self._page = Page()
        self._session = Session(clock=lambda: self.now, uids=lambda: f"u{next(numbers)}")
        self._conversation = EventsConversation(
            open_rails(find_config(config)), TurnLog(Verbosity(), self._page.show)
        )
        self._driver = Driver(self._conversation, self._session, self._page, lambda: self.now)

    async def opens(self) -> list[str]:
        """What the bot says before anybody else does."""
        return await self._after(self._driver.perform(self._session.begin()))

    async def hears(self, line: str) -> list[str]:
        return await self._after(self._driver.perform(self._session.typed(line)))

    async def asks(self, line: str) -> list[str]:
        """As `hears`, until the actions that it set going have come back."""
        shown = await self.hears(line)
        while self._session.busy:
            await asyncio.sleep(0.01)
            shown += await self.waits(1.0)
        return shown

    async def leaves(self) -> None:
        await self._conversation.close()

    async def waits(self, seconds: float) -> list[str]:
        """Time passes, timer by timer."""
        end = self.now + seconds
        shown: list[str] = []
        while (due := self._session.next_due()) is not None and due <= end:
            self.now = due
            shown += await self._after(self._driver.perform(self._session.tick()))
        self.now = end
        return shown

    async def _after(self, work: Awaitable[None]) -> list[str]:
        self._page.shown.clear()
        await work
        return list(self._page.shown)
