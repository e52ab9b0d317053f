"""Letting a streamed answer out window by window, each once its output rails allow it.

Pieces are held until a window is full. The rails see the window with the end of the one before it, so that what spans
two windows is seen whole; what they rewrite is released instead of what was held; what they refuse ends the answer.
`stream_first` releases a window before its verdict, for configurations that say so.

    context_size = 1, chunk_size = 3:   [a b c]   [c d e]   [e ...
                                         ^^^^^ released, then ^^^
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from rails_engine.config.schema import OutputRailsStreamingConfig
from rails_engine.scene import StreamStoppedError

Check: TypeAlias = Callable[[str], Awaitable[str | None]]
"""The text as it may be released; None if it may not."""


class Windows:
    """Takes pieces in, gives windows out; `released` is all that went out."""

    def __init__(
        self, settings: OutputRailsStreamingConfig, check: Check, release: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._check = check
        self._release = release
        self._context: list[str] = []
        self._fresh: list[str] = []
        self.released = ""

    async def piece(self, text: str) -> None:
        """Take one piece in.

        Raises:
            StreamStoppedError: the rails refused a window.
        """
        self._fresh.append(text)
        if len(self._context) + len(self._fresh) >= self._settings.chunk_size:
            await self._window()

    async def end(self) -> None:
        """Let the rest out.

        Raises:
            StreamStoppedError: the rails refused it.
        """
        if self._context or self._fresh:
            await self._window()

    async def _window(self) -> None:
        before, fresh = "".join(self._context), "".join(self._fresh)
        pieces = [*self._context, *self._fresh]
        size = self._settings.context_size
        self._context, self._fresh = (pieces[-size:] if size else []), []
        if self._settings.stream_first:
            self._let_out(fresh)
        allowed = await self._check(before + fresh)
        if allowed is None:
            raise StreamStoppedError
        if not self._settings.stream_first:
            self._let_out(allowed.removeprefix(before) if allowed != before + fresh else fresh)

    def _let_out(self, text: str) -> None:
        if text:
            self.released += text
            self._release(text)
