"""How long `import nemoguardrails` takes in a fresh interpreter, against the interpreter's own start.

    python benchmarks/import_time.py [--rounds N] [--peer PYTHON]

The budget is 0.25 s on a 2-core machine. `--peer` names an interpreter that has the peer's package, measured in turn
with ours in the same run, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATEMENTS = (
    "pass",
    "import colang",
    "import nemoguardrails",
    "from nemoguardrails import LLMRails, RailsConfig",
)


def seconds(python: str, statement: str, folder: Path) -> float:
    """Wall-clock time of one process that runs `statement`."""
    start = time.perf_counter()
    subprocess.run([python, "-c", statement], check=True, cwd=folder, capture_output=True)
    return time.perf_counter() - start


def measure(python: str, statement: str, folder: Path, rounds: int) -> list[float]:
    seconds(python, statement, folder)  # compiles what is not compiled yet, and warms the file cache
    return [seconds(python, statement, folder) for _ in range(rounds)]


def report(label: str, times: list[float], base: float) -> None:
    median = statistics.median(times)
    print(
        f"{label:55} {median * 1000:7.0f} ms   over start-up {1000 * (median - base):7.0f} ms   best {min(times) * 1000:.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peer", help="a Python interpreter that has the peer's package")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, median of {options.rounds} processes each"
    )
    base = statistics.median(measure(sys.executable, "pass", ROOT, options.rounds))
    for statement in STATEMENTS:
        report(statement, measure(sys.executable, statement, ROOT, options.rounds), base)
    if options.peer:
        peer_base = statistics.median(measure(options.peer, "pass", ROOT.parent, options.rounds))
        report(
            "peer: import nemoguardrails",
            measure(options.peer, STATEMENTS[2], ROOT.parent, options.rounds),
            peer_base,
        )


if __name__ == "__main__":
    main()
