"""Letting a streamed answer out window by window, each once its output rails allow it.

Pieces are held until a window is full. The rails see the window with the end of the one before it, so that what spans
two windows is seen whole; what they rewrite is released instead of what was held; what they refuse ends the answer.
Reasoning is held with the text that it comes before. `stream_first` releases a window before its verdict, for
configurations that say so.

    context_size = 1, chunk_size = 3:   [a b c]   [c d e]   [e ...
                                         ^^^^^ released, then ^^^

Where a rail may rewrite, the end of each window stays held until it has been seen with the next: a name that two
windows share would else go out by half before it is whole enough to be masked. What a rail rewrote near the end stays
held as the model wrote it, since it may go on.

    with a rail that rewrites:          [a b c]   [c d e]   [e ...
                                         ^^^ released, then ^^^

So whatever a rail rewrites that is no longer than what stays held goes out rewritten as a whole, or not at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, TypeAlias

from rails_engine.config.schema import OutputRailsStreamingConfig
from rails_engine.cut_points import Cut, cut, shared
from rails_engine.streaming import Frame, Outlet, rail_failure_frame, violation_frame
from rails_engine.umim import EventDict


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the output rails made of a window: the text as it may be released, or the rail that refused it.

    `failed`: that rail gave no verdict. `events` are those of the refusal, `said` is what the rail said instead, or beside
    a text that it let pass.
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


SURROUNDINGS: Final = 40
"""Characters before what a rail rewrites that it may go by, such as the words `my number is`."""

TRIES: Final = 3

_LONGEST: Final = 500
"""Characters; see `Windows._longest`."""

Check: TypeAlias = Callable[[str, str], Awaitable[Ruling]]
"""From a window's text, and all reasoning so far, to the verdict."""


class StreamStoppedError(Exception):
    """A rail refused what a model was writing, so it was stopped."""

    def __init__(self, ruling: Ruling) -> None:
        super().__init__(f"refused by {ruling.refused_by}")
        self.ruling = ruling


class Windows:
    """Takes frames in, gives them out. Without a check all pass at once.

    `rewrites`: the check may answer with another text than it was given; so it may where the settings name a reach.
    `reach`: characters that what it rewrites may be long; at least so much stays held then.
    """

    def __init__(
        self,
        settings: OutputRailsStreamingConfig,
        check: Check | None,
        release: Callable[[Frame], None],
        *,
        rewrites: bool,
        reach: int,
    ) -> None:
        self._settings = settings
        self._check = check
        self._release = release
        self._tail = _tail_of(settings)
        self._reach = reach
        self._holds = (rewrites or bool(settings.reach)) and not settings.stream_first
        self._judged = 0
        self._unseen = False
        """Whether something came that the rails have not seen yet."""
        self._left = ""
        """What the rails have made of the held pieces that they have judged."""
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
        reasoning = frame.metadata.get("reasoning_content", "")
        self._reasoning.append(reasoning)
        self._unseen = self._unseen or bool(frame.text or reasoning)
        if self._is_full():
            await self._window(self._check)

    async def end(self) -> None:
        """Let the rest out.

        Raises:
            StreamStoppedError: the rails refused it.
        """
        holds, self._holds = self._holds, False
        if self._check is not None and (self._context or self._unseen):
            await self._window(self._check)
        elif holds:
            self._let_out_as(self._fresh, self._left)
            self._fresh = []
        self._let_out(self._fresh)
        self._fresh = []

    def _is_full(self) -> bool:
        held = self._pieces_held()
        if len(self._context) + held < self._settings.chunk_size:
            return False
        if not self._holds:
            return True
        if held - self._judged < self._settings.chunk_size - self._tail:
            return False
        # While all of it would stay held there is nothing to ask about.
        return sum(len(frame.text) for frame in self._fresh) > self._held_back(self._fresh)

    def _pieces_held(self) -> int:
        return sum(1 for frame in self._fresh if frame.text)

    async def _window(self, check: Check) -> None:
        before, frames = "".join(self._context), self._fresh
        fresh = "".join(frame.text for frame in frames)
        self._fresh, self._unseen = [], False
        if self._settings.stream_first:
            self._let_out(frames)
        ruling = await check(before + fresh, "".join(self._reasoning))
        if ruling.refused_by is not None:
            raise StreamStoppedError(ruling)
        if self._holds:
            await self._let_out_but_tail(fresh, ruling.text, frames, check)
        elif self._settings.stream_first or ruling.text == before + fresh:
            self._keep_context([frame.text for frame in frames if frame.text])
            if not self._settings.stream_first:
                self._let_out(frames)
        else:
            self._let_out_rewritten(before, ruling.text, frames)

    async def _let_out_but_tail(self, text: str, allowed: str, frames: list[Frame], check: Check) -> None:
        """Let a window out but for its end, and hold that as the model wrote it."""
        borders = list(accumulate(len(frame.text) for frame in frames))
        held = self._held_back(frames)
        place = cut(text, allowed, borders, len(text) - held, min(held, SURROUNDINGS))
        if place is None and len(text) > self._longest():
            place = await self._tried(
                text, allowed, [border for border in borders if border <= len(text) - held], check
            )
        kept = bisect_right(borders, place.raw) if place is not None else 0
        out, self._fresh = frames[:kept], frames[kept:]
        self._judged, self._left = self._pieces_held(), allowed
        if place is not None:
            self._left = allowed[place.allowed :]
            self._let_out_as(out, allowed[: place.allowed])

    async def _tried(self, text: str, allowed: str, borders: Sequence[int], check: Check) -> Cut:
        """A place where rails that rewrite here and there agree to a cut; the end, if they do so nowhere.

        One thing as long as that, or a text that is another one now, is no longer waited for.
        """
        for border in borders[: -1 - TRIES : -1]:
            halves = [await check(half, "".join(self._reasoning)) for half in (text[:border], text[border:])]
            if "".join(half.text for half in halves) == allowed and not any(
                half.refused_by for half in halves
            ):
                return Cut(border, len(halves[0].text))
        return Cut(len(text), len(allowed))

    def _held_back(self, frames: Sequence[Frame]) -> int:
        """How many characters stay held at the end of a window."""
        pieces = [len(frame.text) for frame in frames if frame.text]
        return max(self._reach, sum(pieces[-self._tail :]))

    def _longest(self) -> int:
        """Characters that are held at most where rails rewrite all that is held."""
        return 4 * max(self._reach, _LONGEST)

    def _let_out_as(self, frames: list[Frame], text: str) -> None:
        """Let frames out with this text in place of theirs."""
        if "".join(frame.text for frame in frames) != text:
            frames = [*(frame for frame in frames if not frame.text), Frame(text)]
        self._let_out(frames)

    def _keep_context(self, fresh: list[str]) -> None:
        """The last pieces of a window are seen again with the next one."""
        size = self._settings.context_size
        self._context = [*self._context, *fresh][-size:] if size else []

    def _let_out_rewritten(self, before: str, text: str, frames: list[Frame]) -> None:
        """What follows the text that went out before; where the rails changed even that, from the first change on."""
        new = text[shared(before, text) :]
        self._let_out([*(frame for frame in frames if not frame.text), Frame(new)])
        self._context = []
        self._keep_context([new] if new else [])

    def _let_out(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.text or frame.metadata:
                self._released.append(frame.text)
                self._release(frame)


def _tail_of(settings: OutputRailsStreamingConfig) -> int:
    """How many pieces stay held."""
    return settings.context_size or max(1, settings.chunk_size // 4)


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
