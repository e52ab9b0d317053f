"""Whole Colang programs to hold the parser to: the project's own, and the behaviour cases where they lie beside it."""

from __future__ import annotations

from pathlib import Path

import yaml

from colang.dialect import Dialect, dialect_of
from colang.source import Source

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "colang_cases"


def own_programs(dialect: Dialect) -> list[Source]:
    """Every program of the library, the rails and the ready configurations."""
    paths = [
        path
        for folder in ("colang/library", "configs", "rails_engine")
        for path in sorted((ROOT / folder).rglob("*.co"))
    ]
    sources = [Source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")) for path in paths]
    return [source for source in sources if dialect_of(source.text) is dialect]


def shared_programs(folder: str) -> list[Source]:
    """All programs of a folder of behaviour cases that are meant to load; none where the cases are absent."""
    cases = [
        (path.stem, yaml.safe_load(path.read_text())) for path in sorted((CASES / folder).glob("*.yaml"))
    ]
    return [Source(name, case["colang"]) for name, case in cases if not _fails_to_load(case)]


def _fails_to_load(case: dict[str, object]) -> bool:
    error = case.get("expect_error")
    return isinstance(error, dict) and error.get("stage") == "load"
