"""The rim for a standard input that is no terminal: plain lines in, plain lines out, an end when the input ends."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from app.cli.chat.text import printable
from app.cli.chat.values import Tone


class Pipe:
    """Reads one line at a time, and only when the bot has nothing left to answer, so that answers keep their order."""

    eager = False

    def __init__(self, source: TextIO = sys.stdin) -> None:
        self._source = source

    async def read(self) -> str | None:
        """The next line. The thread that waits for it is a daemon, so that Ctrl+C need not wait for the writer."""
        loop = asyncio.get_running_loop()
        line: asyncio.Future[str] = loop.create_future()

        def fetch() -> None:
            text = self._source.readline()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(deliver, text)

        def deliver(text: str) -> None:
            if not line.cancelled():
                line.set_result(text)

        threading.Thread(target=fetch, daemon=True).start()
        return await line or None

    def show(self, text: str, tone: Tone) -> None:
        """See `Screen.show`; what is no part of the conversation goes to standard error."""
        _write(f"{text}\n", sys.stderr if tone in {Tone.ERROR, Tone.INSIDE} else sys.stdout)

    def piece(self, text: str | None) -> None:
        """See `Screen.piece`."""
        _write("\n" if text is None else text, sys.stdout)

    @contextmanager
    def working(self, stop: Callable[[], object]) -> Iterator[None]:
        """Who reads a pipe waits for lines, not for signs of life; Ctrl+C ends the whole."""
        del stop
        yield

    def awaiting(self, results: bool) -> None:
        """As `working`."""


def _write(text: str, stream: TextIO) -> None:
    stream.write(printable(text))
    stream.flush()
