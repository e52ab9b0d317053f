"""What `load` makes of sources: flows ready to run, shared by every conversation and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from colang.source import Source

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FlowInfo:
    """A flow as prompts and tools see it."""

    name: str
    text: str
    docstring: str | None
    parameters: tuple[str, ...]
    meta: Mapping[str, Any]
    excluded: bool
    """True where the flow's file, or `@meta(llm_exclude=True)`, keeps it out of prompts."""


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded program; `config` is what `$system.config` shows."""

    flows: Mapping[str, FlowInfo]
    config: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


def load(
    sources: Iterable[Source],
    *,
    search_path: Iterable[Path] = (),
    library_roots: Iterable[Path] = (),
    config: Mapping[str, Any] = _NOTHING,
) -> Program:
    """Read, import, check and lower `sources`.

    Imports are looked up in `search_path` (the configuration's folder, then `COLANGPATH`), then in the standard
    library of this package, then below `library_roots` (so that `nemoguardrails.library.x` resolves).

    Raises:
        ColangSyntaxError: a file cannot be read.
        ColangLoadError: duplicate flows, a bad override, an import that does not resolve.
    """
    raise NotImplementedError
