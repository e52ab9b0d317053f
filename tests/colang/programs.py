"""The Colang programs of the behaviour cases that lie beside the project, where they do."""

from __future__ import annotations

from pathlib import Path

import yaml

from colang.source import Source

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "colang_cases"


def shared_programs(dialect: str) -> list[Source]:
    """All programs of a dialect (`v1`, `v2`) that are meant to load; none where the cases are absent."""
    cases = [
        (path.stem, yaml.safe_load(path.read_text())) for path in sorted((CASES / dialect).glob("*.yaml"))
    ]
    return [Source(name, case["colang"]) for name, case in cases if not _fails_to_load(case)]


def _fails_to_load(case: dict[str, object]) -> bool:
    error = case.get("expect_error")
    return isinstance(error, dict) and error.get("stage") == "load"
