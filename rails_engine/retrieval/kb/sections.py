"""What every kind of document becomes before it is cut: sections of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, table or piece of code; lines count from 1, both ends included, on `page` where there are pages."""

    text: str
    first_line: int
    last_line: int
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The blocks below one heading; `headings` leads to it from the top of the document."""

    headings: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """A document that was read: its metadata and its sections, in order."""

    sections: tuple[Section, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


class OutlineBuilder:
    """Collects headings and blocks in reading order; sections without a block are left out."""

    def __init__(self) -> None:
        self._sections: list[Section] = []
        self._headings: list[tuple[int, str]] = []
        self._blocks: list[Block] = []

    def heading(self, level: int, title: str) -> None:
        """A heading of level 1 to 6 closes the sections of its level and below."""
        self._close()
        self._headings = [(one, text) for one, text in self._headings if one < level]
        self._headings.append((level, title))

    def block(self, block: Block) -> None:
        """The next block below the current heading."""
        self._blocks.append(block)

    def outline(self, meta: Mapping[str, Any] | None = None) -> Outline:
        """Everything collected."""
        self._close()
        return Outline(tuple(self._sections), meta or {})

    def _close(self) -> None:
        if self._blocks:
            self._sections.append(Section(tuple(title for _, title in self._headings), tuple(self._blocks)))
            self._blocks = []
