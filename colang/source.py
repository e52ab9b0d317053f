"""Where a piece of program text came from: files and spans in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Source:
    """One Colang file: its display name and its whole text."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """The text of the 1-based line `number`; empty past the end."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one source; lines and columns are 1-based, the end column is exclusive."""

    source: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}"


def pieces(text: str, beginning: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """The text cut before each match of `beginning`, blank pieces left out; each with the number of its first line."""
    line = 1
    starts = [0, *(match.start() for match in beginning.finditer(text)), len(text)]
    for start, end in pairwise(starts):
        piece = text[start:end]
        if piece.strip():
            yield line, piece
        line += piece.count("\n")
