"""Metadata at the head of a document: a YAML block between `---` lines, or in a ```` ```yaml ```` fence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from rails_engine.retrieval.errors import DocumentError

_FRONT_MATTER = re.compile(r"\s*---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_FENCE = re.compile(r"\s*```ya?ml[ \t]*\n(.*?)^```[ \t]*$\n?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Head:
    """The metadata and how many lines it took."""

    meta: Mapping[str, Any] = field(default_factory=dict)
    lines: int = 0


def read_head(text: str, path: str) -> Head:
    """The metadata at the head of `text`; a `---` that begins no mapping is a rule, and stays text.

    Raises:
        DocumentError: the block is no YAML.
    """
    match = _FRONT_MATTER.match(text) or _FENCE.match(text)
    if match is None:
        return Head()
    try:
        meta = yaml.safe_load(match.group(1))
    except yaml.YAMLError as error:
        raise DocumentError(path, f"the metadata block at its head is not YAML ({_where(error)})") from error
    if not isinstance(meta, dict):
        return Head()
    return Head({str(key): value for key, value in meta.items()}, match.group(0).count("\n"))


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "malformed"
    return f"{problem}, line {mark.line + 2}" if mark is not None else str(problem)
