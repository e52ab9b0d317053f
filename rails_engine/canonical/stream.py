"""The messages of a turn on their way to somebody who reads along: each through windows of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from rails_engine.llm import Completion, Usage
from rails_engine.streaming import Frame, Outlet, Thought, closing_frame
from rails_engine.windows import StreamStoppedError, Windows

MakeWindows: TypeAlias = Callable[[Callable[[Frame], None]], Windows]


class Stream:
    """Implements `Shown`: one message after the other, on lines of their own, until a rail ends it.

    Reasoning without a text, such as that behind a call of tools, is told when the rails have let the answer pass.
    """

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._make_windows: MakeWindows | None = None
        self._windows: Windows | None = None
        self._guarded = False
        self._thought = Thought(waits=False)
        self._usage: Usage | None = None
        self._line_wanted = False
        self._written = False
        self._over = False

    def begin(self, make_windows: MakeWindows, *, guarded: bool = False) -> None:
        """Let each message through windows that are made when it begins; `guarded`: rails look at calls of tools."""
        self._make_windows, self._guarded = make_windows, guarded

    async def piece(self, text: str, reasoning: str = "") -> None:
        """See `Shown.piece`."""
        if not text and not reasoning:
            return
        windows = self._opened()
        frame = self._thought.beside(text, reasoning)
        if frame is None:
            return
        try:
            await windows.take(frame)
        except StreamStoppedError as stop:
            self._stop(stop)
            raise
        await self._outlet.room()

    def _opened(self) -> Windows:
        if self._windows is None:
            if self._make_windows is None:
                raise RuntimeError("a stream has to begin before its first piece")
            self._windows = self._make_windows(self._give)
            self._thought = Thought(waits=self._guarded or self._windows.checks)
        return self._windows

    async def end(self, answer: Completion) -> str | None:
        """See `Shown.end`."""
        self._usage = answer.usage
        windows, self._windows = self._windows, None
        if windows is None:
            return None
        behind = None if answer.tool_calls else self._thought.behind()
        try:
            if behind is not None:
                await windows.take(behind)
            await windows.end()
        except StreamStoppedError as stop:
            self._stop(stop)
            raise
        self._written = bool(windows.released) and not answer.tool_calls
        self._line_wanted = self._line_wanted or bool(windows.released)
        return windows.released if windows.checks else None

    async def flush(self) -> None:
        """See `Shown.flush`."""
        windows, self._windows = self._windows, None
        if windows is None:
            return
        try:
            await windows.end()
        except StreamStoppedError as stop:
            self._stop(stop)
            raise

    def said(self, script: str) -> None:
        """See `Shown.said`."""
        if not self._written:
            self._give(Frame(script))
        self._written, self._line_wanted = False, True

    def called(self, tool_calls: Sequence[Any]) -> None:
        """See `Shown.called`."""
        self._give(Frame(metadata={**self._thought.taken(), "tool_calls": list(tool_calls)}))

    def finish(self, error: Frame | None, *, passed: bool = True) -> None:
        """The turn is over: it ended with an error, or this is what it took. `passed`: the rails let its answer pass."""
        if error is not None:
            self._fail(error)
        elif passed and (thought := self._thought.taken()):
            self._give(Frame(metadata=thought))
        self._outlet.give(closing_frame(self._usage))

    def _fail(self, frame: Frame) -> None:
        """Give out an error; no text follows."""
        if not self._over:
            self._outlet.give(frame)
        self._over = True

    def _stop(self, stop: StreamStoppedError) -> None:
        self._windows = None
        self._fail(stop.ruling.frame())

    def _give(self, frame: Frame) -> None:
        if self._over:
            return
        if frame.text and self._line_wanted:
            frame, self._line_wanted = Frame(f"\n{frame.text}", frame.metadata), False
        self._outlet.give(frame)
