"""Run the conformance scenarios that lie beside the repository, if they do, and hold their result to our list.

`tests/conformance_deviations.yaml` names each scenario that we answer otherwise, with the reason. The exit status is 0
if every other scenario passes and no listed one passes unexpectedly; 0 too where there are no scenarios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
DEVIATIONS = ROOT / "tests" / "conformance_deviations.yaml"


def deviations(path: Path = DEVIATIONS) -> dict[str, str]:
    """Scenario to the reason why we answer otherwise."""
    listed: list[dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    return {entry["case"]: entry["reason"] for entry in listed}


def run(harness: Path, cases: Path, only: str, jobs: int) -> dict[str, Any]:
    """Run the harness with this tree on the path; the content of its result file."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "results.json"
        command = [
            sys.executable,
            str(harness),
            str(cases),
            "--out",
            str(out),
            "--jobs",
            str(jobs),
            "--quiet",
        ]
        if only:
            command += ["--only", only]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, env=environment, check=False)
        results: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return results


def verdict(results: list[dict[str, Any]], allowed: dict[str, str]) -> list[str]:
    """What is wrong, a line each; empty if nothing is."""
    wrong = []
    for row in results:
        failed, listed = row["status"] == "fail", row["id"] in allowed
        if failed and not listed:
            wrong += [f"{row['id']} fails", *(f"    {line}" for line in row.get("diff", []))]
        elif listed and row["status"] == "pass":
            wrong.append(f"{row['id']} passes: take it off {DEVIATIONS.name}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--only", default="", help="only scenarios whose path contains this")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    harness = args.shared / "conformance" / "run.py"
    if not harness.is_file():
        print(f"no conformance scenarios at {harness.parent}: nothing to run")
        return 0
    found = run(harness, harness.parent / "cases", args.only, args.jobs)
    wrong = verdict(found["results"], deviations())
    print("\n".join(wrong) if wrong else "all as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
