"""The rim for a standard input that is no terminal: plain lines in, plain lines out, an end when the input ends."""

from __future__ import annotations

import asyncio
import sys

from app.cli.chat.text import printable
from app.cli.chat.values import Tone


class Pipe:
    """Reads one line at a time, and only when the bot has nothing left to answer, so that answers keep their order."""

    eager = False

    async def read(self) -> str | None:
        line = await asyncio.to_thread(sys.stdin.readline)
        return line or None

    def show(self, text: str, tone: Tone) -> None:
        stream = sys.stderr if tone is Tone.ERROR else sys.stdout
        stream.write(f"{printable(text)}\n")
        stream.flush()
