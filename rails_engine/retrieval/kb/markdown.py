"""Markdown to sections. The block structure is CommonMark's, read by markdown-it-py, so a `#` in a code fence is code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rails_engine.retrieval.kb.metadata import read_head
from rails_engine.retrieval.kb.sections import Block, Outline, Section

if TYPE_CHECKING:
    from markdown_it.token import Token


def read_markdown(text: str, path: str) -> Outline:
    """The sections of a Markdown text; sections without a body are left out.

    Raises:
        DocumentError: its metadata block is no YAML.
    """
    from markdown_it import MarkdownIt

    text = text.replace("\r\n", "\n").replace("\r", "\n")
    head = read_head(text, path)
    lines = text.split("\n")
    body = "\n" * head.lines + "\n".join(lines[head.lines :])
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    return Outline(tuple(_sections(_pieces(tokens), lines)), head.meta)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A heading (`level` 1 to 6 and its `title`) or a block (`level` 0); lines count from 0, the end is excluded."""

    level: int
    title: str
    start: int
    end: int


def _pieces(tokens: list[Token]) -> Iterator[_Piece]:
    for i, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        start, end = token.map
        if token.type == "heading_open":
            yield _Piece(int(token.tag[1:]), _plain(tokens[i + 1]), start, end)
        else:
            yield _Piece(0, "", start, end)


def _plain(inline: Token) -> str:
    """A heading's words without its markup."""
    parts = [child.content for child in inline.children or () if child.type in ("text", "code_inline")]
    return "".join(parts).strip() or inline.content.strip()


def _sections(pieces: Iterator[_Piece], lines: list[str]) -> Iterator[Section]:
    open_headings: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for piece in pieces:
        if not piece.level:
            block = _block(lines, piece)
            if block is not None:
                blocks.append(block)
            continue
        if blocks:
            yield Section(tuple(title for _, title in open_headings), tuple(blocks))
            blocks = []
        open_headings = [(level, title) for level, title in open_headings if level < piece.level]
        open_headings.append((piece.level, piece.title))
    if blocks:
        yield Section(tuple(title for _, title in open_headings), tuple(blocks))


def _block(lines: list[str], piece: _Piece) -> Block | None:
    """The source lines of a block, blank ones at either end left out."""
    start, end = piece.start, min(piece.end, len(lines))
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    if start == end:
        return None
    return Block("\n".join(lines[start:end]).strip(), start + 1, end)
