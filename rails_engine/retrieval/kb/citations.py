"""Chunks numbered for a prompt, and the numbers that an answer cites turned back into places."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rails_engine.retrieval.kb.chunks import Chunk, Provenance

_CITED = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


@dataclass(frozen=True, slots=True)
class Citation:
    """A number in an answer and the place it stands for."""

    number: int
    title: str
    provenance: Provenance


def numbered(chunks: Sequence[Chunk]) -> str:
    """The chunks for a prompt, each under the number to cite it by: `[1] Title` and its text."""
    return "\n\n".join(
        f"[{number}] {chunk.title}\n{chunk.body}" for number, chunk in enumerate(chunks, start=1)
    )


def citations_in(answer: str, chunks: Sequence[Chunk]) -> list[Citation]:
    """What `answer` cites, in the order of first mention; numbers that stand for no chunk are not among them."""
    return [
        Citation(number, chunks[number - 1].title, chunks[number - 1].provenance)
        for number in _numbers(answer)
        if 1 <= number <= len(chunks)
    ]


def unknown_citations(answer: str, chunks: Sequence[Chunk]) -> list[int]:
    """Numbers that `answer` cites and no chunk has: a sign that the model made them up."""
    return [number for number in _numbers(answer) if not 1 <= number <= len(chunks)]


def _numbers(answer: str) -> list[int]:
    """The numbers that an answer cites, each once."""
    numbers = (int(number) for group in _CITED.findall(answer) for number in group.split(","))
    return list(dict.fromkeys(numbers))
