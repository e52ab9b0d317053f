"""Texts that are too long or padded, so that they crowd out the rest of a prompt.

Measured are the length in characters, the entropy of the characters in bits, the longest run of one character and the
share of repeated word n-grams. A text shorter than `min_chars` is judged by its length alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import groupby
from math import log2
from typing import Any, TypeAlias

from rails_engine.actions import RailOutcome, TransformTarget, action
from rails_engine.config import RailsConfig
from rails_engine.config.schema import ContextBloatDetectionConfig
from rails_engine.library.actions.reading import readable

_TARGETS = {"input": TransformTarget.USER_MESSAGE, "retrieval": TransformTarget.RELEVANT_CHUNKS}


@action(is_system_action=True)
async def context_bloat_detection(source: str, text: Any, config: RailsConfig) -> RailOutcome:
    """Whether `text` is bloated; it is then rejected, cut to `max_chars`, or only reported, as configured.

    Raises:
        ValueError: the source is neither input nor retrieval.
    """
    if source not in _TARGETS:
        raise ValueError(f"unknown source {source!r}; use input or retrieval")
    options = config.rails.config.context_bloat_detection or ContextBloatDetectionConfig()
    return judged(readable(text, config), options, _TARGETS[source])


def judged(text: str, options: ContextBloatDetectionConfig, target: TransformTarget) -> RailOutcome:
    """The verdict on one text."""
    metrics: dict[str, Any] = {"chars": len(text)}
    detections: list[str] = []
    kept = text
    if len(text) > options.max_chars:
        detections.append("size_cap_exceeded")
        if options.action == "truncate":
            kept = text[: options.max_chars]
    if len(text) >= options.min_chars and (not detections or options.action != "reject"):
        _measure(kept, options, metrics, detections)
    padded = [name for name in detections if name != "size_cap_exceeded"]
    return _outcome(options.action, detections, metrics, (target, kept) if not padded else None)


_Measure: TypeAlias = tuple[str, str, Callable[[str, ContextBloatDetectionConfig], tuple[float, bool]]]


def _measure(
    text: str, options: ContextBloatDetectionConfig, metrics: dict[str, Any], detections: list[str]
) -> None:
    """Measure in turn; only `warn` wants to know of everything after the first finding."""
    for metric, name, measure in _MEASURES:
        value, exceeded = measure(text, options)
        metrics[metric] = round(value, 3)
        if exceeded:
            detections.append(name)
            if options.action != "warn":
                return


def _entropy(text: str, options: ContextBloatDetectionConfig) -> tuple[float, bool]:
    shares = [count / len(text) for count in Counter(text).values()]
    bits = -sum(share * log2(share) for share in shares)
    return bits, bits < options.min_entropy


def _run(text: str, options: ContextBloatDetectionConfig) -> tuple[float, bool]:
    ratio = max(sum(1 for _ in group) for _, group in groupby(text)) / len(text)
    return ratio, ratio > options.max_run_ratio


def _repetition(text: str, options: ContextBloatDetectionConfig) -> tuple[float, bool]:
    words, n = text.lower().split(), options.ngram_size
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    ratio = 1 - len(set(grams)) / len(grams) if grams else 0.0
    return ratio, ratio > options.max_repetition_ratio


_MEASURES: tuple[_Measure, ...] = (
    ("entropy", "low_entropy", _entropy),
    ("longest_run_ratio", "long_run", _run),
    ("repetition_ratio", "high_repetition", _repetition),
)


def _outcome(
    wanted: str, detections: list[str], metrics: dict[str, Any], cut: tuple[TransformTarget, str] | None
) -> RailOutcome:
    metadata = {"is_bloat": bool(detections), "action": wanted, "detections": detections, "metrics": metrics}
    reason = ", ".join(detections) or None
    if not detections or wanted == "warn":
        return RailOutcome.allow(reason=reason, metadata=metadata)
    if wanted == "truncate" and cut:
        return RailOutcome.transform([cut], reason=reason, metadata=metadata)
    return RailOutcome.block(reason=detections[-1] if wanted == "truncate" else reason, metadata=metadata)
