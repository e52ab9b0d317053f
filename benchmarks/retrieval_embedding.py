"""How fast embedders are: sentences a second on one core, and the built-in one's first query in a fresh process.

    OMP_NUM_THREADS=1 python benchmarks/retrieval_embedding.py [--sentences N] [--rounds N]
        [--engine local --model FOLDER]

The goals of the built-in embedder are 20,000 short sentences a second on one core, and half a second from the start
of the interpreter to the first vector. Sentences are made of the vocabulary's own words, eight each. Process time is
printed beside the clock's, since other work on the machine slows the latter.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from rails_engine.retrieval import Embedder, EmbeddingKind
from rails_engine.retrieval.embedding import embedder_for

ROOT = Path(__file__).resolve().parents[1]
WORDS_A_SENTENCE = 8
FIRST_QUERY = (
    "import asyncio\n"
    "from rails_engine.retrieval.embedding import StaticEmbedder\n"
    "from rails_engine.retrieval.base import EmbeddingKind\n"
    "asyncio.run(StaticEmbedder().embed(['where is my parcel'], EmbeddingKind.QUERY))\n"
)


def sentences(count: int) -> list[str]:
    vocabulary = ROOT / "rails_engine" / "retrieval" / "embedding" / "minilm_static" / "vocab.txt"
    words = [
        word for word in vocabulary.read_text(encoding="utf-8").split() if word.isalpha() and word.isascii()
    ]
    chooser = random.Random(1)
    weights = [1 / (rank + 10) for rank in range(len(words))]
    chosen = iter(chooser.choices(words, weights, k=count * WORDS_A_SENTENCE))
    return [" ".join(next(chosen) for _ in range(WORDS_A_SENTENCE)).capitalize() + "?" for _ in range(count)]


def first_query() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_QUERY], check=True, cwd=ROOT)
    return time.perf_counter() - start


async def measure(embedder: Embedder, texts: list[str], rounds: int) -> None:
    await embedder.embed(texts[:256], EmbeddingKind.PASSAGE)
    for _ in range(rounds):
        clock, process = time.perf_counter(), time.process_time()
        await embedder.embed(texts, EmbeddingKind.PASSAGE)
        clock, process = time.perf_counter() - clock, time.process_time() - process
        print(
            f"{len(texts) / clock:10,.0f} sentences/s by the clock, {len(texts) / process:10,.0f} a second of one core"
        )


def main(arguments: argparse.Namespace) -> None:
    texts = sentences(arguments.sentences)
    asyncio.run(measure(embedder_for(arguments.engine, arguments.model, {}), texts, arguments.rounds))
    if arguments.engine:
        return
    starts = sorted(first_query() for _ in range(arguments.rounds))
    print(f"first query in a fresh process: median {starts[len(starts) // 2]:.3f} s, best {starts[0]:.3f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sentences", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--engine", default=None, help="another engine, such as local; its start is not measured"
    )
    parser.add_argument("--model", default=None, help="its model")
    main(parser.parse_args())
