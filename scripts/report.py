"""Prints the size figures of each room: functions, files, import chains, wide handlers, and tests to sources.

    python scripts/report.py

The hard limits stand in tests/contracts; what is here is a trend to look at, not a gate.
"""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.contracts.source import ROOT, Codebase, Module, longest_chain, read
from tests.contracts.test_shape import length

ROOMS = ("nemoguardrails", "app", "rails_engine", "colang", "inference_backend")
HEADINGS = (
    "",
    "files",
    "code",
    "functions",
    "median",
    "p90",
    ">50",
    ">100",
    "chain",
    "wide/kloc",
)


def wide_handlers(modules: Iterable[Module]) -> int:
    handlers = (node for m in modules for node in ast.walk(m.tree) if isinstance(node, ast.ExceptHandler))
    return sum(ast.unparse(h.type) in {"Exception", "BaseException"} if h.type else True for h in handlers)


def row(room: str, code: Codebase) -> tuple[str, ...]:
    lengths = sorted(length(function) for module in code for function in module.functions) or [0]
    lines = sum(module.code_lines for module in code)
    over = sum(n > 50 for n in lengths) / len(lengths)
    return (
        room,
        str(len(code.modules)),
        str(lines),
        str(len(lengths)),
        f"{statistics.median(lengths):g}",
        str(lengths[min(len(lengths) - 1, int(len(lengths) * 0.9))]),
        f"{over:.1%}",
        str(sum(n > 100 for n in lengths)),
        str(len(longest_chain(code.graph()))),
        f"{1000 * wide_handlers(code) / max(lines, 1):.2f}",
    )


def lines_of_tests() -> int:
    files = (path for path in (ROOT / "tests").rglob("*") if path.suffix in {".py", ".co", ".yaml"})
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)


def main() -> None:
    rows = [HEADINGS]
    rows += [row(room, read(ROOT, [room])) for room in ROOMS]
    rows.append(row("all", everything := read(ROOT, ROOMS)))
    widths = [max(len(line[i]) for line in rows) for i in range(len(HEADINGS))]
    for line in rows:
        print(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )
    sources = sum(module.text.count("\n") for module in everything)
    print(f"test lines to source lines: {lines_of_tests() / sources:.2f}")


if __name__ == "__main__":
    main()
