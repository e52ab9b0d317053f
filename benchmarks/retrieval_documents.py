"""How often the right paragraph is found for a question, on a set in SQuAD's format such as XQuAD.

    python benchmarks/retrieval_documents.py --data xquad.en.json [--engine local --model CHECKPOINT]

Each paragraph becomes a document of the knowledge base, cut into chunks as any other. For every question the chunks are
ranked by vectors, by words and by both; the rank of the right paragraph is that of its best chunk. Printed: recall@1,
recall@5 and MRR@10, the seconds to build and the milliseconds a question; with the built-in embedder also how often the
sentence that answers without a language model holds the wanted words.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path

from rails_engine.retrieval import (
    Document,
    HybridSearcher,
    KnowledgeBase,
    LexicalSearcher,
    Searcher,
    VectorSearcher,
)
from rails_engine.retrieval.embedding import CachingEmbedder, MemoryStore, embedder_for

CHUNKS = 30


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    paragraph: str
    answers: tuple[str, ...]


def read(path: Path) -> tuple[list[Document], list[Question]]:
    documents, questions = [], []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            name = f"{len(documents)}.txt"
            documents.append(Document(name, paragraph["context"], "txt"))
            for asked in paragraph["qas"]:
                answers = tuple(answer["text"] for answer in asked["answers"])
                questions.append(Question(asked["question"], name, answers))
    return documents, questions


async def rank(base: KnowledgeBase, question: Question) -> int | None:
    """The place of the right paragraph among the paragraphs found, from 1."""
    chunks = await base.search(question.text, CHUNKS)
    paragraphs = list(dict.fromkeys(chunk.provenance.path for chunk in chunks))
    return paragraphs.index(question.paragraph) + 1 if question.paragraph in paragraphs else None


async def measure(
    name: str, searcher: Searcher, documents: list[Document], questions: list[Question]
) -> None:
    base = KnowledgeBase(documents, searcher)
    start = time.perf_counter()
    await base.build()
    built = time.perf_counter() - start
    start = time.perf_counter()
    ranks = [await rank(base, question) for question in questions]
    each = (time.perf_counter() - start) / len(questions)
    first, five = (sum(r is not None and r <= k for r in ranks) / len(ranks) for k in (1, 5))
    reciprocal = sum(1 / r for r in ranks if r is not None and r <= 10) / len(ranks)
    print(
        f"{name:8s} recall@1 {first:.4f}  recall@5 {five:.4f}  MRR@10 {reciprocal:.4f}  "
        f"built in {built:.2f} s, {each * 1000:.2f} ms a question ({len(base.chunks)} chunks)"
    )


async def main(arguments: argparse.Namespace) -> None:
    documents, questions = read(arguments.data)
    embedder = CachingEmbedder(embedder_for(arguments.engine, arguments.model, {}), MemoryStore(1 << 30))
    print(
        f"{embedder.model_name}: {len(documents)} paragraphs, {len(questions):,} questions of {arguments.data.name}"
    )
    await measure("vectors", VectorSearcher(embedder), documents, questions)
    await measure("words", LexicalSearcher(), documents, questions)
    hybrid = HybridSearcher(VectorSearcher(embedder), LexicalSearcher())
    await measure("hybrid", hybrid, documents, questions)
    base = KnowledgeBase(documents, hybrid, embedder)
    await base.build()
    answers = [await base.answer(question.text) for question in questions]
    right = sum(
        answer is not None and any(wanted in answer.text for wanted in question.answers)
        for answer, question in zip(answers, questions, strict=True)
    )
    given = sum(answer is not None for answer in answers)
    print(
        f"extract  answers {given / len(questions):.4f} of the questions, {right / max(1, given):.4f} of them hold the answer"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a file in SQuAD's format")
    parser.add_argument("--engine", default=None, help="embedding engine; default: the built-in one")
    parser.add_argument("--model", default=None, help="its model")
    asyncio.run(main(parser.parse_args()))
