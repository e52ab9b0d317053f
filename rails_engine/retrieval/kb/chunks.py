"""Sections to chunks.

Blocks are gathered until they hold more than `soft_characters`, so a short section stays whole and a chunk never ends
inside a paragraph. A block longer than `max_tokens` is divided at the ends of sentences, each part beginning with the
last sentences of the one before (`overlap_tokens`), so that no sentence loses its neighbours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rails_engine.retrieval.kb.sections import Block, Outline, Section

# Where a sentence ends: after a Latin mark and space, after a full-width mark (U+3002, U+FF01, U+FF1F), before an item
# of a list, a row of a table or a quoted line, and at an empty line. Other line breaks only wrap the text.
_SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"')\]\u00bb\u201d\u2019]*\s+|(?<=[\u3002\uff01\uff1f])|\n\s*\n|\n(?=[ \t]*(?:[-*+|>#]|\d{1,3}[.)]\s))"
)
# A kana, Han or Hangul letter, a word, or a sign.
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af]|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class ChunkSettings:
    """`max_tokens` is kept below what sentence encoders read (256 pieces, of which a word has about 1.3)."""

    soft_characters: int = 400
    max_tokens: int = 180
    overlap_tokens: int = 30


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a chunk was found: file, path of headings, and lines, of `page` where there are pages.

    Lines count from 1, both ends included. They are 0 where a search provider of a user's own found what no document
    holds; `path` is then what it calls the source.
    """

    path: str
    headings: tuple[str, ...]
    first_line: int
    last_line: int
    page: int | None = None

    def __str__(self) -> str:
        if not self.first_line:
            return self.path
        page = "" if self.page is None else f", page {self.page}"
        place = f"{self.path}{page}:{self.first_line}-{self.last_line}"
        return f"{place} ({' > '.join(self.headings)})" if self.headings else place


@dataclass(frozen=True, slots=True)
class Chunk(Mapping[str, Any]):
    """A piece of a document, as it is found and quoted.

    Users' code reads it as a mapping too: the document's metadata, `title`, `body` and `source`.
    """

    title: str
    body: str
    provenance: Provenance
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is embedded and searched: the title helps a body that never says what it is about."""
        return f"# {self.title}\n\n{self.body}"

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _read(self) -> dict[str, Any]:
        return {**self.meta, "title": self.title, "body": self.body, "source": str(self.provenance)}


def cut(outline: Outline, path: str, settings: ChunkSettings | None = None) -> list[Chunk]:
    """The chunks of a document, in order; a `title` in its metadata names all of them."""
    chosen = settings or ChunkSettings()
    meta = dict(outline.meta)
    return [
        Chunk(
            title=str(meta.get("title", " - ".join(section.headings))),
            body=block.text,
            provenance=Provenance(path, section.headings, block.first_line, block.last_line, block.page),
            meta={key: value for key, value in meta.items() if key != "title"},
        )
        for section in outline.sections
        for block in _gathered(section, chosen)
    ]


def count_tokens(text: str) -> int:
    """Words, signs and CJK letters: close enough to a model's count to keep chunks inside its window."""
    return sum(1 for _ in _TOKEN.finditer(text))


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, each on one line."""
    return [" ".join(text[start:end].split()) for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of a text begin and end, the white space around them left out."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield from _trimmed(text, start, end.end())
        start = end.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    piece = text[start:end]
    if piece.strip():
        yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _gathered(section: Section, settings: ChunkSettings) -> Iterator[Block]:
    held: list[Block] = []
    for block in section.blocks:
        if held and held[-1].page != block.page:
            yield from _joined(held)
            held = []
        if count_tokens(block.text) > settings.max_tokens:
            yield from _joined(held)
            held = []
            yield from _divided(block, settings)
            continue
        held.append(block)
        if sum(len(one.text) for one in held) > settings.soft_characters:
            yield from _joined(held)
            held = []
    yield from _joined(held)


def _joined(blocks: Sequence[Block]) -> Iterator[Block]:
    """One block of several, with as many line breaks between them as the source has."""
    if not blocks:
        return
    text = blocks[0].text
    for before, block in pairwise(blocks):
        text += "\n" * max(1, block.first_line - before.last_line) + block.text
    yield Block(text, blocks[0].first_line, blocks[-1].last_line, blocks[0].page)


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of a block, from `start` up to `end` in its text."""

    start: int
    end: int
    tokens: int


def _divided(block: Block, settings: ChunkSettings) -> Iterator[Block]:
    part: list[_Sentence] = []
    used = 0
    for sentence in _sentences(block.text, settings.max_tokens):
        if part and used + sentence.tokens > settings.max_tokens:
            yield _part(block, part)
            part = _overlap(part, min(settings.overlap_tokens, settings.max_tokens - sentence.tokens))
            used = sum(one.tokens for one in part)
        part.append(sentence)
        used += sentence.tokens
    yield _part(block, part)


def _sentences(text: str, max_tokens: int) -> Iterator[_Sentence]:
    """The sentences of a text; one without an end in sight is cut after `max_tokens` words."""
    for start, end in sentence_spans(text):
        words = [match.span() for match in _TOKEN.finditer(text, start, end)]
        if len(words) <= max_tokens:
            yield _Sentence(start, end, len(words))
            continue
        for i in range(0, len(words), max_tokens):
            cut_off = words[i : i + max_tokens]
            yield _Sentence(cut_off[0][0], cut_off[-1][1], len(cut_off))


def _overlap(part: Sequence[_Sentence], budget: int) -> list[_Sentence]:
    kept: list[_Sentence] = []
    for sentence in reversed(part[1:]):
        budget -= sentence.tokens
        if budget < 0:
            break
        kept.insert(0, sentence)
    return kept


def _part(block: Block, sentences: Sequence[_Sentence]) -> Block:
    """The sentences, which follow one another, as they stand in the block."""
    start, end = sentences[0].start, sentences[-1].end
    first = block.first_line + block.text.count("\n", 0, start)
    return Block(block.text[start:end], first, first + block.text.count("\n", start, end), block.page)
