"""What every kind of document becomes before it is cut: sections of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, table or piece of code; lines count from 1, both ends included."""

    text: str
    first_line: int
    last_line: int


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
