"""Documents as they are handed in: a name, a kind, and the text or the bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the knowledge base; `format` is `md`, `txt`, `html` or `pdf` (whose `content` is bytes)."""

    path: str
    content: str | bytes
    format: str = "md"
