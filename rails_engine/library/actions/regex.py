"""Patterns that must not occur. RE2 runs them in linear time, whatever the text."""

from __future__ import annotations

import asyncio
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.config.schema import RegexDetectionOptions
from rails_engine.library.actions.reading import readable

SOURCES = ("input", "output", "retrieval")


@action(is_system_action=True)
async def detect_regex_pattern(source: str, text: Any, config: RailsConfig) -> RailOutcome:
    """Whether any pattern for `source` (input, output or retrieval) occurs in `text`.

    Raises:
        ValueError: the source is unknown, or the text holds what cannot be read.
        TimeoutError: a pattern of the backtracking engine took too long.
    """
    if source not in SOURCES:
        raise ValueError(f"unknown source {source!r}; use input, output or retrieval")
    detection = config.rails.config.regex_detection
    options: RegexDetectionOptions | None = getattr(detection, source) if detection else None
    text = text if type(text) is str else readable(text, config)
    if not options or not text:
        found = []
    elif options.engine == "backtracking":
        found = await asyncio.to_thread(_backtracking, options, text)
    else:
        encoded, each = text.encode(), zip(options.patterns, options.compiled_patterns, strict=True)
        found = [pattern for pattern, compiled in each if compiled.search(encoded)]
    metadata: dict[str, Any] = {
        "is_match": bool(found), "text": text, "detections": found, "source": source,
    }  # fmt: skip
    return RailOutcome.block(metadata=metadata) if found else RailOutcome.allow(metadata=metadata)


def _backtracking(options: RegexDetectionOptions, text: str) -> list[str]:
    """Patterns beyond RE2, each bounded in time."""
    import regex

    flags = regex.IGNORECASE if options.case_insensitive else 0
    return [
        pattern
        for pattern in options.patterns
        if regex.search(pattern, text, flags=flags, timeout=options.timeout_s, concurrent=True)
    ]
