"""Patterns that must not occur. RE2 runs them in linear time, whatever the text.

A text is searched as it is written, and once more as it is seen where that is another text: with letters of full width
and other compatible forms as their plain ones, and without characters that take no room, by which a word would not be
found that everybody reads.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Sequence
from functools import partial
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.config.schema import RegexDetectionOptions
from rails_engine.library.actions.reading import readable

SOURCES = ("input", "output", "retrieval")

AT_ONCE = 1_000_000
"""Instructions times characters that are gone through where the event loop runs; what may take more goes to a thread."""


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
    forms = (text,) if not text or text.isascii() else (text, _as_seen(text))
    if not options or not text:
        found = []
    elif options.engine == "backtracking":
        found = await asyncio.to_thread(_backtracking, options, forms)
    elif len(text) * options.compiled_patterns.size > AT_ONCE:
        found = await asyncio.to_thread(options.found_in, forms)
    else:
        found = options.found_in(forms)
    metadata: dict[str, Any] = {
        "is_match": bool(found), "text": text, "detections": found, "source": source,
    }  # fmt: skip
    return RailOutcome.block(metadata=metadata) if found else RailOutcome.allow(metadata=metadata)


def _as_seen(text: str) -> str:
    """The text in its compatible form (NFKC of Unicode Annex 15), without format characters and variation selectors."""
    shown = (char for char in text if unicodedata.category(char) != "Cf" and not "\ufe00" <= char <= "\ufe0f")
    return unicodedata.normalize("NFKC", "".join(shown))


def _backtracking(options: RegexDetectionOptions, forms: Sequence[str]) -> list[str]:
    """Patterns beyond RE2, each bounded in time."""
    import regex

    flags = regex.IGNORECASE if options.case_insensitive else 0
    search = partial(regex.search, flags=flags, timeout=options.timeout_s, concurrent=True)
    return [pattern for pattern in options.patterns if any(search(pattern, form) for form in forms)]
