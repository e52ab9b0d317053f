"""How well intents are told apart by examples alone, on a labelled set such as banking77.

    python benchmarks/retrieval_intents.py --data FOLDER [--engine local --model CHECKPOINT] [--shots N]

FOLDER holds `train.csv` and `test.csv` with the columns text and category. Printed: accuracy on the test set with the
fitted head and with the nearest example alone, the seconds that fitting takes, the calibration error; then, with a
random fourth of the intents left out of the examples, five times over, how well its test utterances are recognised as
having none of the intents (AUROC), and how many of each kind the calibrated threshold takes for the other. `--shots`
keeps so many examples an intent, drawn three times.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import random
import time
from pathlib import Path

from rails_engine.retrieval import Embedder, EmbeddingKind
from rails_engine.retrieval.embedding import CachingEmbedder, MemoryStore, embedder_for
from rails_engine.retrieval.intents import IntentIndex, IntentReport, Labelled, make_report

LEFT_OUT_SHARE = 4
SPLITS = 5
DRAWS = 3


def read(path: Path) -> list[Labelled]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [Labelled(row["text"], row["category"]) for row in csv.DictReader(stream)]


def by_intent(examples: list[Labelled], shots: int | None, seed: int) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for example in examples:
        grouped.setdefault(str(example.intent), []).append(example.text)
    if shots is None:
        return grouped
    chooser = random.Random(seed)
    return {intent: chooser.sample(texts, min(shots, len(texts))) for intent, texts in grouped.items()}


async def nearest_accuracy(intents: IntentIndex, tests: list[Labelled]) -> float:
    right = 0
    for test in tests:
        hits = await intents.nearest(test.text, 1)
        right += bool(hits) and hits[0].item.meta["intent"] == test.intent
    return right / len(tests)


async def measure(
    name: str, embedder: Embedder, train: dict[str, list[str]], tests: list[Labelled]
) -> IntentReport:
    intents = IntentIndex(train, embedder)
    await embedder.embed([text for texts in train.values() for text in texts], EmbeddingKind.QUERY)
    start = time.perf_counter()
    await intents.build()
    built = time.perf_counter() - start
    report = await make_report(intents, tests)
    print(
        f"{name}: fitted in {built:.1f} s on {sum(map(len, train.values())):,} examples of {len(train)} intents"
    )
    return report


async def told_apart(embedder: Embedder, train: dict[str, list[str]], tests: list[Labelled]) -> None:
    report = await measure("all intents", embedder, train, tests)
    nearest = await nearest_accuracy(IntentIndex(train, embedder), tests)
    print(f"  accuracy {report.accuracy:.4f}   nearest example alone {nearest:.4f}")
    print(
        f"  calibration error {report.calibration_error:.4f}   known taken for none {report.known_rejected:.4f}"
    )


async def left_out(
    embedder: Embedder, train: dict[str, list[str]], tests: list[Labelled], seed: int
) -> IntentReport:
    """The report where a random fourth of the intents has no examples."""
    foreign = set(random.Random(seed).sample(sorted(train), len(train) // LEFT_OUT_SHARE))
    kept = {intent: texts for intent, texts in train.items() if intent not in foreign}
    marked = [Labelled(test.text, None if test.intent in foreign else test.intent) for test in tests]
    report = await measure(f"{len(foreign)} intents left out", embedder, kept, marked)
    print(
        f"  accuracy {report.accuracy:.4f}   out-of-scope AUROC {report.auroc:.4f}   "
        f"known taken for none {report.known_rejected:.4f}   foreign taken as known {report.foreign_accepted:.4f}"
    )
    return report


async def main(arguments: argparse.Namespace) -> None:
    inner = embedder_for(arguments.engine, arguments.model, {})
    embedder = CachingEmbedder(inner, MemoryStore(1 << 30))
    examples, tests = read(arguments.data / "train.csv"), read(arguments.data / "test.csv")
    await embedder.embed(
        [test.text for test in tests], EmbeddingKind.QUERY
    )  # together: a large model is slow on one
    print(f"embedder {inner.model_name}; {len(tests):,} test utterances")
    for seed in range(1 if arguments.shots is None else DRAWS):
        await told_apart(embedder, by_intent(examples, arguments.shots, seed), tests)
    train = by_intent(examples, arguments.shots, 0)
    reports = [await left_out(embedder, train, tests, seed) for seed in range(SPLITS)]
    scores = [report.auroc for report in reports]
    print(f"out-of-scope AUROC {sum(scores) / SPLITS:.4f} (from {min(scores):.4f} to {max(scores):.4f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv and test.csv")
    parser.add_argument("--engine", default=None, help="embedding engine; default: the built-in one")
    parser.add_argument("--model", default=None, help="its model")
    parser.add_argument("--shots", type=int, default=None, help="examples an intent; default: all")
    asyncio.run(main(parser.parse_args()))
