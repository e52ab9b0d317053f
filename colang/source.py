"""Where a piece of program text came from: files and spans in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

SHOWN: Final = 160
"""Characters of a line that an error shows."""


@dataclass(frozen=True, slots=True)
class Source:
    """One Colang file: its display name and its whole text."""

    name: str
    text: str

    def line(self, number: int) -> str:
        """The text of the 1-based line `number`; empty past the end."""
        lines = self.text.split("\n")
        return lines[number - 1].rstrip("\r") if 0 < number <= len(lines) else ""


def pointed(line: str, column: int, width: int = 1) -> str:
    """A line with a caret below its 1-based `column`, indented by two; of a long line the part around it."""
    start = max(0, column - 1 - SHOWN // 2) if len(line) > SHOWN else 0
    shown = line[start : start + SHOWN].replace("\t", " ")
    left, right = "…" if start else "", "…" if start + SHOWN < len(line) else ""
    before = column - 1 - start
    carets = max(1, min(width, len(shown) - before))
    return f"  {left}{shown}{right}\n  {' ' * (len(left) + before)}{'^' * carets}"


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
