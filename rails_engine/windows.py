"""Letting a streamed answer out window by window, each once its output rails allow it.

Pieces are held until a window is full. The rails see the window with the end of the one before it, so that what spans
two windows is seen whole; what they rewrite is released instead of what was held; what they refuse ends the answer.
Reasoning is held with the text that it comes before. `stream_first` releases a window before its verdict, for
configurations that say so.

    context_size = 1, chunk_size = 3:   [a b c]   [c d e]   [e ...
                                         ^^^^^ released, then ^^^

Where a rail may rewrite, the end of each window stays held until it has been seen with the next: a name that two
windows share would else go out by half before it is whole enough to be masked.

    with a rail that rewrites:          [a b c]   [c d e]   [e ...
                                         ^^^ released, then ^^^
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rails_engine.config.schema import OutputRailsStreamingConfig
from rails_engine.streaming import Frame, Outlet, rail_failure_frame, violation_frame
from rails_engine.umim import EventDict


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the output rails made of a window: the text as it may be released, or the rail that refused it.

    `failed`: that rail gave no verdict. `events` are those of the refusal, `said` is what the rail said instead.
    """

    text: str = ""
    refused_by: str | None = None
    failed: bool = False
    events: tuple[EventDict, ...] = ()
    said: str = ""

    def frame(self) -> Frame:
        """The frame that ends the stream of a refused window."""
        rail = self.refused_by or ""
        return rail_failure_frame(rail) if self.failed else violation_frame(rail)


Check: TypeAlias = Callable[[str, str], Awaitable[Ruling]]
"""From a window's text, and all reasoning so far, to the verdict."""


class StreamStoppedError(Exception):
    """A rail refused what a model was writing, so it was stopped."""

    def __init__(self, ruling: Ruling) -> None:
        super().__init__(f"refused by {ruling.refused_by}")
        self.ruling = ruling


class Windows:
    """Takes frames in, gives them out. Without a check all pass at once.

    `rewrites`: the check may answer with another text than it was given.
    """

    def __init__(
        self,
        settings: OutputRailsStreamingConfig,
        check: Check | None,
        release: Callable[[Frame], None],
        *,
        rewrites: bool = False,
    ) -> None:
        self._settings = settings
        self._check = check
        self._release = release
        self._tail = _tail_of(settings) if rewrites and not settings.stream_first else 0
        self._judged = 0
        self._context: list[str] = []
        self._fresh: list[Frame] = []
        self._reasoning: list[str] = []
        self._released: list[str] = []

    @property
    def released(self) -> str:
        """All text that went out."""
        return "".join(self._released)

    @property
    def checks(self) -> bool:
        """True where output rails look at the windows."""
        return self._check is not None

    async def take(self, frame: Frame) -> None:
        """Take one frame in.

        Raises:
            StreamStoppedError: the rails refused a window.
        """
        if self._check is None:
            self._let_out([frame])
            return
        self._fresh.append(frame)
        self._reasoning.append(frame.metadata.get("reasoning_content", ""))
        if len(self._context) + self._pieces_held() >= self._settings.chunk_size:
            await self._window(self._check)

    async def end(self) -> None:
        """Let the rest out.

        Raises:
            StreamStoppedError: the rails refused it.
        """
        self._tail = 0
        if self._check is not None and (self._context or self._pieces_held() > self._judged):
            await self._window(self._check)
        self._let_out(self._fresh)
        self._fresh = []

    def _pieces_held(self) -> int:
        return sum(1 for frame in self._fresh if frame.text)

    async def _window(self, check: Check) -> None:
        before, frames = "".join(self._context), self._fresh
        fresh = "".join(frame.text for frame in frames)
        self._fresh = []
        if self._settings.stream_first:
            self._let_out(frames)
        ruling = await check(before + fresh, "".join(self._reasoning))
        if ruling.refused_by is not None:
            raise StreamStoppedError(ruling)
        if self._tail:
            self._let_out_but_tail(fresh, ruling.text, frames)
        elif self._settings.stream_first or ruling.text == before + fresh:
            self._keep_context([frame.text for frame in frames if frame.text])
            if not self._settings.stream_first:
                self._let_out(frames)
        else:
            self._let_out_rewritten(before, ruling.text, frames)

    def _let_out_but_tail(self, text: str, allowed: str, frames: list[Frame]) -> None:
        """Let a window out but for its last pieces, as far as the rails left them as they are."""
        unchanged = _shared(text[::-1], allowed[::-1])
        kept, pieces, size = len(frames), 0, 0
        while kept and pieces < self._tail and size + len(frames[kept - 1].text) <= unchanged:
            kept -= 1
            pieces += bool(frames[kept].text)
            size += len(frames[kept].text)
        out, self._fresh, self._judged = frames[:kept], frames[kept:], pieces
        if text != allowed:
            rewritten = Frame(allowed[: len(allowed) - size])
            out = [*(frame for frame in out if not frame.text), rewritten]
        self._let_out(out)

    def _keep_context(self, fresh: list[str]) -> None:
        """The last pieces of a window are seen again with the next one."""
        size = self._settings.context_size
        self._context = [*self._context, *fresh][-size:] if size else []

    def _let_out_rewritten(self, before: str, text: str, frames: list[Frame]) -> None:
        """What follows the text that went out before; where the rails changed even that, from the first change on."""
        new = text[_shared(before, text) :]
        self._let_out([*(frame for frame in frames if not frame.text), Frame(new)])
        self._context = []
        self._keep_context([new] if new else [])

    def _let_out(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.text or frame.metadata:
                self._released.append(frame.text)
                self._release(frame)


def _tail_of(settings: OutputRailsStreamingConfig) -> int:
    """How many pieces stay held; fewer than a window has, or nothing would ever go out."""
    return min(settings.context_size or max(1, settings.chunk_size // 4), settings.chunk_size - 1)


def _shared(one: str, other: str) -> int:
    """How many first characters two texts have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


async def pass_through(pieces: AsyncIterator[Any], windows: Windows, outlet: Outlet) -> None:
    """Let an answer from elsewhere through windows; a refusal ends it with its frame.

    Its pieces are texts, or `{"text": …, "metadata": …}`.
    """
    try:
        async for piece in pieces:
            await windows.take(_frame_of(piece))
            await outlet.room()
        await windows.end()
    except StreamStoppedError as stop:
        outlet.give(stop.ruling.frame())


def _frame_of(piece: Any) -> Frame:
    if isinstance(piece, Mapping):
        return Frame(str(piece.get("text") or ""), dict(piece.get("metadata") or {}))
    return Frame(str(piece))
