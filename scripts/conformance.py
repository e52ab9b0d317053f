"""Runs the visible conformance cases against this checkout and judges the result.

    python scripts/conformance.py [--colang 2.x] [--only SUBSTRING] [--jobs N]

The cases lie in ../shared/conformance, beside the checkout. A case that fails counts unless it is listed, with its
reason, in tests/conformance_deviations.yaml; a listed case that passes counts too, so that the list only shrinks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
HARNESS = ROOT.parent / "shared" / "conformance"
DEVIATIONS = ROOT / "tests" / "conformance_deviations.yaml"


@dataclass(frozen=True)
class Result:
    case: str
    colang: str
    difference: str
    """The first place where we differ from the measured outcome; empty where we do not."""


@dataclass(frozen=True)
class Judgement:
    passed: int
    failed: list[Result]
    accepted: list[Result]
    """Failing, with a reason in the list."""
    stale: list[Result]
    """In the list, yet passing."""


def deviations() -> dict[str, str]:
    """Case to the reason why we answer differently."""
    entries = yaml.safe_load(DEVIATIONS.read_text(encoding="utf-8")) if DEVIATIONS.exists() else []
    return {entry["case"]: entry["reason"] for entry in entries or []}


def measure(only: str, jobs: int) -> list[Result]:
    """One result a scored case."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "results.json"
        command = [sys.executable, HARNESS / "run.py", HARNESS / "cases", "--out", out, "--quiet"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([*command, "--jobs", str(jobs), "--only", only], env=environment, check=False)
        rows = json.loads(out.read_text(encoding="utf-8"))["results"]
    return [_result(row) for row in rows if row["status"] != "not scored"]


def _result(row: dict[str, Any]) -> Result:
    passed = row["status"] == "pass"
    return Result(row["id"], row["colang"], "" if passed else str((row.get("diff") or [row["status"]])[0]))


def judge(results: list[Result], listed: dict[str, str]) -> Judgement:
    return Judgement(
        passed=sum(not r.difference for r in results),
        failed=[r for r in results if r.difference and r.case not in listed],
        accepted=[r for r in results if r.difference and r.case in listed],
        stale=[r for r in results if not r.difference and r.case in listed],
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--colang", choices=["1.0", "2.x"], help="judge the cases of one dialect only")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if not HARNESS.is_dir():
        print(f"no conformance cases at {HARNESS}", file=sys.stderr)
        return 2
    results = [r for r in measure(options.only, options.jobs) if options.colang in {None, r.colang}]
    verdict = judge(results, deviations())
    for result in verdict.failed:
        print(f"FAILED {result.case}: {result.difference}")
    for result in verdict.stale:
        print(f"STALE {result.case}: it passes, so take it out of {DEVIATIONS.name}")
    print(
        f"conformance: {verdict.passed} of {len(results)} pass, "
        f"{len(verdict.accepted)} deviate for a listed reason, {len(verdict.failed)} fail"
    )
    return bool(verdict.failed or verdict.stale or not results)


if __name__ == "__main__":
    sys.exit(main())
