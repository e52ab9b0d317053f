"""Markdown cut into pieces for code that keeps them itself."""

from __future__ import annotations

from typing import Any

from rails_engine.retrieval.kb.chunks import ChunkSettings, cut
from rails_engine.retrieval.kb.markdown import read_markdown

_SOURCE = "source"


def split_markdown_in_topic_chunks(content: str, max_chunk_size: int = 400) -> list[dict[str, Any]]:
    """The pieces of a document: `title` (the headings above), `body`, and what its metadata says.

    A paragraph is divided only where it is longer than what encoders read; else pieces end with the paragraph that
    reaches `max_chunk_size` characters.
    """
    chunks = cut(read_markdown(content, ""), "", ChunkSettings(soft_characters=max_chunk_size))
    return [{name: value for name, value in chunk.items() if name != _SOURCE} for chunk in chunks]
