"""Markdown and plain text to sections.

Markdown's block structure is CommonMark's, read by markdown-it-py, so a `#` in a code fence is code. Plain text is
paragraphs between blank lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rails_engine.retrieval.kb.metadata import read_head
from rails_engine.retrieval.kb.sections import Block, Outline, OutlineBuilder

if TYPE_CHECKING:
    from markdown_it.token import Token


def read_markdown(text: str, path: str) -> Outline:
    """The sections of a Markdown text.

    Raises:
        DocumentError: its metadata block is no YAML.
    """
    from markdown_it import MarkdownIt

    text = _with_plain_line_ends(text)
    head = read_head(text, path)
    lines = text.split("\n")
    body = "\n" * head.lines + "\n".join(lines[head.lines :])
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    builder = OutlineBuilder()
    for i, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        if token.type == "heading_open":
            builder.heading(int(token.tag[1:]), _plain(tokens[i + 1]))
        elif (block := _block(lines, *token.map)) is not None:
            builder.block(block)
    return builder.outline(head.meta)


def read_text(text: str, path: str) -> Outline:
    """The paragraphs of a plain text as one section without headings.

    Raises:
        DocumentError: its metadata block is no YAML.
    """
    text = _with_plain_line_ends(text)
    head = read_head(text, path)
    lines = text.split("\n")
    builder = OutlineBuilder()
    start = head.lines
    for number in range(head.lines, len(lines) + 1):
        if number == len(lines) or not lines[number].strip():
            if (block := _block(lines, start, number)) is not None:
                builder.block(block)
            start = number + 1
    return builder.outline(head.meta)


def _with_plain_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _plain(inline: Token) -> str:
    """A heading's words without its markup."""
    parts = [child.content for child in inline.children or () if child.type in ("text", "code_inline")]
    return "".join(parts).strip() or inline.content.strip()


def _block(lines: list[str], start: int, end: int) -> Block | None:
    """The source lines from `start` up to `end`, counted from 0, blank ones at either end left out."""
    end = min(end, len(lines))
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    if start >= end:
        return None
    return Block("\n".join(lines[start:end]).strip(), start + 1, end)
