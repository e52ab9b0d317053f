"""Reasoning that a model writes into its text, between `<think>` and `</think>`, told apart from the answer.

Only a tag that opens the text counts: further on it may be part of what the answer is about.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Literal

from rails_engine.llm.base import Chunk
from rails_engine.llm.streams import Reading

OPEN, CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Takes text in pieces of any size and returns (answer, reasoning) pieces; holds back what may be half a tag."""

    def __init__(self) -> None:
        self._state: Literal["start", "thinking", "after", "answer"] = "start"
        self._held = ""

    def feed(self, piece: str) -> tuple[str, str]:
        """What of the answer, and what of the reasoning, is certain with this piece."""
        if self._state == "answer":
            return piece, ""
        self._held += piece
        reasoning = ""
        if self._state == "start":
            self._begin()
        if self._state == "thinking":
            reasoning = self._think()
        if self._state == "after":
            self._held = self._held.lstrip()
            self._state = "answer" if self._held else "after"
        return (self._release(), reasoning) if self._state == "answer" else ("", reasoning)

    def finish(self) -> tuple[str, str]:
        """What is still held once no more text comes."""
        held = self._release()
        return ("", held) if self._state == "thinking" else (held if self._state != "after" else "", "")

    def _begin(self) -> None:
        opening = self._held.lstrip()
        if opening.startswith(OPEN):
            self._state, self._held = "thinking", opening[len(OPEN) :].lstrip("\n")
        elif not OPEN.startswith(opening):
            self._state = "answer"

    def _think(self) -> str:
        before, tag, after = self._held.partition(CLOSE)
        if tag:
            self._state, self._held = "after", after
            return before.rstrip()
        keep = _half_tag(self._held)
        ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return ready

    def _release(self) -> str:
        held, self._held = self._held, ""
        return held


def _half_tag(text: str) -> int:
    """How many characters at the end may belong to the closing tag, blanks before it included."""
    body = text.rstrip()
    blanks = len(text) - len(body)
    for size in range(min(len(CLOSE) - 1, len(text)), 0, -1):
        if text.endswith(CLOSE[:size]):
            return size + len(text[:-size]) - len(text[:-size].rstrip())
    return blanks


def split_thinking(text: str) -> tuple[str, str]:
    """A whole text as (answer, reasoning). A closing tag alone ends reasoning that a chat template opened."""
    before, tag, after = text.partition(CLOSE)
    if not tag or (OPEN in before and not before.lstrip().startswith(OPEN)):
        return text, ""
    return after.lstrip(), before.lstrip().removeprefix(OPEN).strip()


async def parted(chunks: AsyncIterator[Chunk], *, streaming: bool) -> AsyncIterator[Chunk]:
    """Chunks with the reasoning that stands in their text told apart; a whole answer comes as one chunk."""
    splitter = ThinkSplitter() if streaming else None
    async with Reading(chunks) as items:
        async for chunk in items:
            yield _parted(chunk, splitter)
    text, reasoning = splitter.finish() if splitter else ("", "")
    if text or reasoning:
        yield Chunk(text=text, reasoning=reasoning)


def undivided(chunk: Chunk) -> Chunk:
    """A whole answer in one chunk, with the reasoning that stands in its text told apart."""
    if CLOSE not in chunk.text:
        return chunk
    text, reasoning = split_thinking(chunk.text)
    return replace(chunk, text=text, reasoning=chunk.reasoning + reasoning)


def _parted(chunk: Chunk, splitter: ThinkSplitter | None) -> Chunk:
    if splitter is None:
        return undivided(chunk)
    if not chunk.text:
        return chunk
    text, reasoning = splitter.feed(chunk.text)
    return replace(chunk, text=text, reasoning=chunk.reasoning + reasoning)
