"""Answers taken word for word from the documents, without a language model.

The sentences of the chunks that were found are embedded and compared with the question; a sentence that shares rare
words with it gains a little. The best one answers, together with its neighbours in the same chunk where they are
nearly as close. If even the best one is far from the question, there is no answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rails_engine.retrieval.base import Embedder, EmbeddingKind
from rails_engine.retrieval.kb.chunks import Chunk, split_sentences
from rails_engine.retrieval.kb.citations import Citation
from rails_engine.retrieval.lexical import words_of


@dataclass(frozen=True, slots=True)
class ExtractSettings:
    """`threshold` is the least score of the best sentence; `max_sentences` of an answer."""

    threshold: float = 0.45
    max_sentences: int = 3
    shared_words_weight: float = 0.3
    neighbour_share: float = 0.75


@dataclass(frozen=True, slots=True)
class Answer:
    """Sentences of one chunk, as they stand there, how well they answer (at most about 1.3), and where they stand."""

    text: str
    score: float
    citation: Citation

    @property
    def with_source(self) -> str:
        """The text and, in brackets, its file and heading."""
        headings = self.citation.provenance.headings
        place = " > ".join((self.citation.provenance.path, *headings))
        return f"{self.text} [{place}]"


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    chunk: int


async def extract_answer(
    question: str, chunks: Sequence[Chunk], embedder: Embedder, settings: ExtractSettings | None = None
) -> Answer | None:
    """The best sentences for `question` among `chunks` (best first), None where none is close enough.

    Raises:
        EmbeddingError: the sentences could not be embedded.
    """
    chosen = settings or ExtractSettings()
    sentences = [_Sentence(text, i) for i, chunk in enumerate(chunks) for text in split_sentences(chunk.body)]
    if not sentences:
        return None
    # A sentence rarely repeats what its heading says it is about.
    texts = [f"{chunks[sentence.chunk].title}: {sentence.text}" for sentence in sentences]
    query = await embedder.embed([question], EmbeddingKind.QUERY)
    cosines = (await embedder.embed(texts, EmbeddingKind.PASSAGE)) @ query[0]
    shared = _shared_words(question, texts)
    scores = [float(c) + chosen.shared_words_weight * s for c, s in zip(cosines, shared, strict=True)]
    best = int(np.argmax(scores))
    if scores[best] < chosen.threshold:
        return None
    first, last = _span(sentences, scores, best, chosen)
    chunk = chunks[sentences[best].chunk]
    return Answer(
        text=" ".join(sentence.text for sentence in sentences[first : last + 1]),
        score=scores[best],
        citation=Citation(sentences[best].chunk + 1, chunk.title, chunk.provenance),
    )


def _shared_words(question: str, texts: Sequence[str]) -> list[float]:
    """For each text the share of the question's words that it has, rare words counting more: 0 to 1."""
    asked = set(words_of(question))
    held = [set(words_of(text)) for text in texts]
    weight = {word: math.log(1 + len(texts) / (1 + sum(word in words for words in held))) for word in asked}
    total = sum(weight.values()) or 1.0
    return [sum(weight[word] for word in asked & words) / total for words in held]


def _span(
    sentences: Sequence[_Sentence], scores: Sequence[float], best: int, settings: ExtractSettings
) -> tuple[int, int]:
    """The best sentence grown to neighbours of its chunk that are nearly as good, both ends included."""
    first = last = best
    least = settings.neighbour_share * scores[best]
    while last - first + 1 < settings.max_sentences:
        sides = [
            side
            for side in (first - 1, last + 1)
            if _belongs(sentences, side, best) and scores[side] >= least
        ]
        if not sides:
            break
        side = max(sides, key=lambda i: scores[i])
        first, last = min(first, side), max(last, side)
    return first, last


def _belongs(sentences: Sequence[_Sentence], place: int, best: int) -> bool:
    return 0 <= place < len(sentences) and sentences[place].chunk == sentences[best].chunk
