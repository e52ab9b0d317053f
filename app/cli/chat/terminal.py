"""The rim for a person at a terminal.

Two manners: a prompt that stays at the bottom while the bot's words appear above it, for conversations in which either
side may speak at any time; and a prompt that comes back when the answer is there, for plain question and answer.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.patch_stdout import patch_stdout

from app.cli.chat.text import printable
from app.cli.chat.values import Tone
from app.cli.progress import PATIENCE_SECONDS, progress

STYLES: Final = {
    Tone.SPEECH: "ansigreen",
    Tone.SCENE: "ansimagenta",
    Tone.EVENT: "ansiyellow",
    Tone.NOTE: "",
    Tone.INSIDE: "ansibrightblack",
    Tone.ERROR: "ansired",
}


class Terminal:
    """Ctrl+D leaves, and so does Ctrl+C pressed twice in a row. While an answer is awaited, Ctrl+C stops it."""

    def __init__(self, *, eager: bool) -> None:
        self.eager = eager
        self._prompt: PromptSession[str] = PromptSession(
            "> ", rprompt=self._sign_of_life, refresh_interval=0.5
        )
        self._interrupted = False
        self._working_since: float | None = None
        self._awaiting_since: float | None = None
        self._end_progress: Callable[[], None] | None = None

    async def read(self) -> str | None:
        """See `Screen.read`."""
        while True:
            try:
                with patch_stdout():
                    line = await self._prompt.prompt_async()
            except KeyboardInterrupt:
                if self._interrupted:
                    return None
                self._interrupted = True
                self.show("Press Ctrl+C once more to leave.", Tone.NOTE)
            except EOFError:
                return None
            else:
                self._interrupted = False
                return line

    def show(self, text: str, tone: Tone) -> None:
        """See `Screen.show`."""
        if self._end_progress is not None:
            self._end_progress()
        body = f"\n{printable(text)}\n" if tone is Tone.SPEECH else printable(text)
        self._print(body, tone, "\n")

    def piece(self, text: str | None) -> None:
        """See `Screen.piece`."""
        if self._end_progress is not None:
            self._end_progress()
        self._print("\n" if text is None else printable(text), Tone.SPEECH, "")

    def _print(self, text: str, tone: Tone, end: str) -> None:
        with patch_stdout():
            print_formatted_text(FormattedText([(STYLES[tone], text)]), end=end)
        sys.stdout.flush()

    @contextmanager
    def working(self, stop: Callable[[], object]) -> Iterator[None]:
        """Show that the bot is at work: beside an open prompt, or in its place."""
        self._working_since = time.monotonic()
        try:
            if self.eager:
                yield
            else:
                with _interrupted(stop), progress("Working ...") as self._end_progress:
                    yield
        finally:
            self._working_since = self._end_progress = None

    def awaiting(self, results: bool) -> None:
        """See `Screen.awaiting`."""
        self._awaiting_since = (self._awaiting_since or time.monotonic()) if results else None

    def _sign_of_life(self) -> str:
        now = time.monotonic()
        seconds = now - min(self._working_since or now, self._awaiting_since or now)
        return f"working ({seconds:.0f} s)" if seconds > PATIENCE_SECONDS else ""


@contextmanager
def _interrupted(stop: Callable[[], object]) -> Iterator[None]:
    """Ctrl+C means `stop` and nothing more: no prompt is open that would take it for a key."""
    before = signal.getsignal(signal.SIGINT)
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):  # where loops have no signals, Ctrl+C leaves
        loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, before)
