"""How well the intents of a configuration are told apart, on utterances whose intents are known."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rails_engine.retrieval.errors import DocumentError
from rails_engine.retrieval.intents.match import IntentMatch, Intents

NO_INTENT = frozenset({"", "none", "none of these", "oos", "out of scope", "out_of_scope"})
"""Labels of utterances that have none of the intents."""

MAX_FILE_BYTES = 256 << 20
_BINS = 10


@dataclass(frozen=True, slots=True)
class Labelled:
    """An utterance and its intent; None is none of them."""

    text: str
    intent: str | None


@dataclass(frozen=True, slots=True)
class Confusion:
    """Utterances of one intent that were taken for another; None is "none of these"."""

    intent: str | None
    taken_for: str | None
    count: int


@dataclass(frozen=True, slots=True)
class IntentFigures:
    """One intent: how many utterances have it, and the share of them found and of its findings that are right."""

    intent: str
    count: int
    recall: float
    precision: float


@dataclass(frozen=True, slots=True)
class IntentReport:
    """All figures; shares are from 0 to 1, and NaN where there is nothing to take a share of.

    `accuracy`: known intents named rightly, scope aside. `known_rejected`: known ones taken for none.
    `foreign_accepted`: foreign ones taken for an intent. `auroc`: how well the familiarity parts the two.
    `calibration_error`: mean gap between stated and true probability over ten bins (ECE).
    """

    count: int
    foreign: int
    accuracy: float
    known_rejected: float
    foreign_accepted: float
    auroc: float
    calibration_error: float
    intents: tuple[IntentFigures, ...]
    confusions: tuple[Confusion, ...]


def read_labelled(path: Path) -> list[Labelled]:
    """Utterances from CSV or TSV (a header with `text` and `intent`, `label` or `category`) or JSON lines.

    Raises:
        DocumentError: the file is missing, too large, not UTF-8, or has no such columns.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DocumentError(str(path), f"larger than {MAX_FILE_BYTES >> 20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DocumentError(str(path), f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DocumentError(str(path), f"is not UTF-8 (byte {error.start})") from error
    rows = _json_rows(text, path) if path.suffix in (".jsonl", ".ndjson") else _table_rows(text, path)
    return [
        Labelled(said, None if intent.strip().lower() in NO_INTENT else intent.strip())
        for said, intent in rows
    ]


@dataclass(frozen=True, slots=True)
class Rule:
    """How a configuration decides: the cosine `threshold`, None where the calibration does, and the intent of all else."""

    threshold: float | None = None
    fallback: str | None = None


async def make_report(
    intents: Intents, examples: Sequence[Labelled], rule: Rule | None = None
) -> IntentReport:
    """Match every utterance as the `rule` has it, and count; the fallback intent counts as none.

    Raises:
        EmbeddingError: an utterance could not be embedded.
    """
    rule = rule or Rule()
    outcomes = []
    for example in examples:
        match = await intents.match(example.text, rule.threshold)
        if match is not None:
            intent = None if example.intent == rule.fallback else example.intent
            taken = replace(match, in_scope=match.in_scope and match.intent != rule.fallback)
            outcomes.append((intent, taken))
    return summarise(outcomes)


def summarise(outcomes: Sequence[tuple[str | None, IntentMatch]]) -> IntentReport:
    """The figures of pairs of true intent and match."""
    known = [(intent, match) for intent, match in outcomes if intent is not None]
    foreign = [match for intent, match in outcomes if intent is None]
    return IntentReport(
        count=len(outcomes),
        foreign=len(foreign),
        accuracy=_share([match.intent == intent for intent, match in known]),
        known_rejected=_share([not match.in_scope for _, match in known]),
        foreign_accepted=_share([match.in_scope for match in foreign]),
        auroc=auroc([match.familiarity for _, match in known], [match.familiarity for match in foreign]),
        calibration_error=_calibration_error(known),
        intents=tuple(_figures(outcomes)),
        confusions=tuple(_confusions(outcomes)),
    )


def auroc(known: Sequence[float], foreign: Sequence[float]) -> float:
    """The probability that a known one scores above a foreign one, ties counting half; NaN without both."""
    if not known or not foreign:
        return float("nan")
    scores = np.concatenate([known, foreign])
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    above = float(ranks[: len(known)].sum()) - len(known) * (len(known) + 1) / 2
    return above / (len(known) * len(foreign))


def render(report: IntentReport, confusions: int = 10) -> str:
    """The report as plain text, with the most frequent confusions and the weakest intents."""
    lines = [
        f"utterances            {report.count} ({report.foreign} without an intent)",
        f"accuracy              {report.accuracy:.4f} of those with an intent",
        f"calibration error     {report.calibration_error:.4f}",
        f"known taken for none  {report.known_rejected:.4f}",
    ]
    if report.foreign:
        lines.append(f"foreign taken as known {report.foreign_accepted:.4f}")
        lines.append(f"out-of-scope AUROC    {report.auroc:.4f}")
    lines += ["", "most frequent confusions (intent -> taken for)"]
    lines += [
        f"  {_shown(c.intent)} -> {_shown(c.taken_for)}: {c.count}" for c in report.confusions[:confusions]
    ]
    lines += ["", "weakest intents (recall, precision, utterances)"]
    weakest = sorted(report.intents, key=lambda figures: (figures.recall, figures.intent))[:confusions]
    lines += [f"  {f.recall:.2f} {f.precision:.2f} {f.count:5d}  {f.intent}" for f in weakest]
    return "\n".join(lines)


def _json_rows(text: str, path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            yield (
                str(row["text"]),
                str(next(row[key] for key in ("intent", "label", "category") if key in row)),
            )
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise DocumentError(f"{path}:{number}", 'wanted {"text": ..., "intent": ...}') from error


def _table_rows(text: str, path: Path) -> Iterator[tuple[str, str]]:
    reader = csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix == ".tsv" else ",")
    columns = reader.fieldnames or []
    label = next((name for name in ("intent", "label", "category") if name in columns), None)
    if "text" not in columns or label is None:
        raise DocumentError(
            str(path), "wanted a header line with the columns text and intent (or label, category)"
        )
    for row in reader:
        yield row["text"] or "", row[label] or ""


def _figures(outcomes: Sequence[tuple[str | None, IntentMatch]]) -> Iterator[IntentFigures]:
    had = Counter(intent for intent, _ in outcomes if intent is not None)
    said = Counter(_taken(match) for _, match in outcomes)
    right = Counter(intent for intent, match in outcomes if intent is not None and _taken(match) == intent)
    for intent, count in sorted(had.items()):
        precision = right[intent] / said[intent] if said[intent] else float("nan")
        yield IntentFigures(intent, count, right[intent] / count, precision)


def _confusions(outcomes: Sequence[tuple[str | None, IntentMatch]]) -> Iterator[Confusion]:
    wrong = Counter((intent, _taken(match)) for intent, match in outcomes if _taken(match) != intent)
    for (intent, taken_for), count in sorted(wrong.items(), key=lambda item: (-item[1], str(item[0]))):
        yield Confusion(intent, taken_for, count)


def _calibration_error(known: Sequence[tuple[str, IntentMatch]]) -> float:
    if not known:
        return float("nan")
    stated = np.array([match.probability for _, match in known])
    right = np.array([match.intent == intent for intent, match in known], float)
    bins = np.minimum((stated * _BINS).astype(int), _BINS - 1)
    gaps = [abs(float((stated - right)[bins == i].sum())) for i in range(_BINS)]
    return sum(gaps) / len(known)


def _taken(match: IntentMatch) -> str | None:
    return match.intent if match.in_scope else None


def _shown(intent: str | None) -> str:
    return intent if intent is not None else "(none)"


def _share(outcomes: Sequence[bool]) -> float:
    return sum(outcomes) / len(outcomes) if outcomes else float("nan")
