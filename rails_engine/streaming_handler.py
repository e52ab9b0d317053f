"""`StreamingHandler`: a pipe for pieces of text, with one writer and one reader, as users' code knows it.

The writer pushes pieces; the reader iterates. In between a prefix may be waited for and dropped, a suffix withheld
until it is known not to end the text, stop sequences may end it, or everything may be held back in a buffer until its
first lines are there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias
from uuid import uuid4


class EndOfStream:
    """Says that no piece follows."""


END_OF_STREAM: Final = EndOfStream()

Piece: TypeAlias = str | dict[str, Any]


class StreamingHandler:
    """See the module. `completion` is all text so far; `stop` lists texts that end it."""

    def __init__(
        self,
        enable_print: bool = False,
        enable_buffer: bool = False,
        include_metadata: bool | None = False,
        include_generation_metadata: bool | None = None,
    ) -> None:
        self.uid = str(uuid4())
        self.completion = ""
        self.stop: list[str] = []
        self._print = enable_print
        self._metadata = bool(include_metadata or include_generation_metadata)
        self._queue: asyncio.Queue[Piece | None] = asyncio.Queue()
        self._finished = asyncio.Event()
        self._buffer: str | None = "" if enable_buffer else None
        self._lines = asyncio.Event()
        self._lines_wanted = 0
        self._prefix: str | None = None
        self._suffix: str | None = None
        self._held = ""
        self._pipe: StreamingHandler | None = None

    # --- the writer's side -----------------------------------------------------------------------------------------

    async def push_chunk(
        self, chunk: str | EndOfStream | None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Add a piece; None or END_OF_STREAM ends the text.

        Raises:
            TypeError: the piece is no text.
        """
        if not isinstance(chunk, str | EndOfStream | None):
            raise TypeError(f"a piece is a text, not {type(chunk).__name__}")
        if self._finished.is_set():
            return
        if chunk is None or isinstance(chunk, EndOfStream):
            await self._end(metadata)
        elif self._buffer is not None:
            self._buffer += chunk
            self._count_lines()
        else:
            await self._take(chunk, metadata)

    async def finish(self) -> None:
        """No piece follows."""
        await self.push_chunk(END_OF_STREAM)

    def set_pattern(self, prefix: str | None = None, suffix: str | None = None) -> None:
        """Drop `prefix` where the text begins with it, and `suffix` at the end."""
        self._prefix, self._suffix = prefix, suffix

    def set_pipe_to(self, another_handler: StreamingHandler) -> None:
        """Hand every piece on to another handler instead of keeping it for a reader."""
        self._pipe = another_handler

    async def enable_buffering(self) -> None:
        """Hold back what comes from now on."""
        self._buffer = ""

    async def disable_buffering(self) -> None:
        """Let go of what was held back."""
        held, self._buffer = self._buffer, None
        if held:
            await self._take(held, None)

    # --- the reader's side -----------------------------------------------------------------------------------------

    async def wait(self) -> str:
        """The whole text, once it has ended."""
        await self._finished.wait()
        return self.completion

    async def wait_top_k_nonempty_lines(self, k: int) -> str:
        """The first `k` lines of the buffer that are not blank; they leave the buffer."""
        self._lines_wanted = k
        self._count_lines()
        await self._lines.wait()
        lines = (self._buffer or "").split("\n")
        filled = [number for number, line in enumerate(lines) if line.strip()][:k]
        cut = filled[-1] + 1 if filled else 0
        self._buffer = "\n".join(lines[cut:])
        return "\n".join(lines[number] for number in filled)

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        piece = await self._queue.get()
        if piece is None:
            self._queue.put_nowait(None)
            raise StopAsyncIteration
        return piece

    # --- in between ------------------------------------------------------------------------------------------------

    def _count_lines(self) -> None:
        lines = (self._buffer or "").split("\n")[:-1]
        if self._lines_wanted and sum(bool(line.strip()) for line in lines) >= self._lines_wanted:
            self._lines.set()

    async def _take(self, text: str, metadata: dict[str, Any] | None) -> None:
        """Let a piece through the prefix, the stop sequences and the suffix, in this order."""
        self._held += text
        if self._prefix is not None:
            if len(self._held) < len(self._prefix) and self._prefix.startswith(self._held):
                return
            self._held = self._held.removeprefix(self._prefix)
            self._prefix = None
        for stop in self.stop:
            before, found, _ = self._held.partition(stop)
            if found:
                self._held = ""
                await self._release(before, metadata)
                await self._close(metadata)
                return
        keep = self._undecided()
        ready, self._held = (self._held[:-keep], self._held[-keep:]) if keep else (self._held, "")
        await self._release(ready, metadata)

    def _undecided(self) -> int:
        """How many last characters may be the beginning of a stop sequence or of the suffix."""
        marks = [*self.stop, *([self._suffix] if self._suffix else [])]
        longest = max((len(mark) for mark in marks), default=0)
        for size in range(min(longest, len(self._held)), 0, -1):
            tail = self._held[-size:]
            if any(mark.startswith(tail) for mark in marks):
                return size
        return 0

    async def _end(self, metadata: dict[str, Any] | None) -> None:
        if self._buffer is not None:
            self._lines.set()
            await self.disable_buffering()
        rest, self._held = self._held, ""
        await self._release(rest.removesuffix(self._suffix) if self._suffix else rest, metadata)
        await self._close(metadata)

    async def _release(self, text: str, metadata: dict[str, Any] | None) -> None:
        if not text and not (metadata and self._metadata):
            return
        self.completion += text
        if self._print:
            sys.stdout.write(text)
            sys.stdout.flush()
        if self._pipe is not None:
            await self._pipe.push_chunk(text, metadata)
        else:
            self._queue.put_nowait({"text": text, "metadata": metadata or {}} if self._metadata else text)

    async def _close(self, metadata: dict[str, Any] | None) -> None:
        self._finished.set()
        if self._pipe is not None:
            await self._pipe.push_chunk(END_OF_STREAM, metadata)
        self._queue.put_nowait(None)


class RelayingHandler(StreamingHandler):
    """A handler whose text goes on to `take` instead of a reader, such as an action's to whoever reads its turn."""

    def __init__(self, take: Callable[[str], Awaitable[None]]) -> None:
        super().__init__()
        self._take_on = take

    async def _release(self, text: str, metadata: dict[str, Any] | None) -> None:
        del metadata
        self.completion += text
        await self._take_on(text)
