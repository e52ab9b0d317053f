"""Write `docs/fault-table.md` from the table that the tests run. Run it after a change of the table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.library.fault_table import FAULTS, MEANINGS, RAILS, ROWS  # noqa: E402  # the path comes first

PAGE = ROOT / "docs" / "fault-table.md"
HEAD = """# What a rail does that cannot judge

Every built-in rail against everything that may go wrong with it, under both policies and in both dialects: {rows} rows,
each of them run by `tests/library/test_fault_table.py` through `LLMRails` and over real connections. This page is written by
`scripts/build_fault_table.py`; a test fails where it is not the table that is run.

With `on_error: block`, the default, the text does not come through (closed). With `on_error: allow`, or `fail_open: true`,
it does (open). `timeout_s` bounds each action of a rail. Both are set for a direction, or for one rail under
`rails.policies`; see [configuration](configuration.md).
"""
FOOT = """
A dash says that the fault cannot happen: {reasons}. `hallucination warning` is not in the table: it adds a warning behind
the answer, and blocks nothing.

With `enable_rails_exceptions` a rail that failed raises the event of the last column, with `reason: error`.
"""


def page() -> str:
    """The page as it should be."""
    reasons = sorted({reason for rail in RAILS for fault in FAULTS if (reason := rail.missing(fault))})
    told = "\n".join(f"- {fault}: {meaning}" for fault, meaning in MEANINGS.items())
    foot = FOOT.format(reasons="the rail " + ", the rail ".join(reasons))
    return "\n".join([HEAD.format(rows=len(ROWS)), told, "", *_table(), foot.rstrip()]) + "\n"


def _table() -> Iterator[str]:
    yield f"| rail | {' | '.join(FAULTS)} | exception event |"
    yield "|---" * (len(FAULTS) + 2) + "|"
    for rail in RAILS:
        cells = ["-" if rail.missing(fault) else "closed, open" for fault in FAULTS]
        event = f"`{rail.exception}`" if rail.exception else "none"
        yield f"| {rail.name} | {' | '.join(cells)} | {event} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {len(ROWS)} rows")
