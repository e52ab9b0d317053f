"""Pages of `docs/` that a script writes are what the script would write now."""

from __future__ import annotations

from scripts.build_fault_table import PAGE, page


def test_the_fault_table_is_the_one_that_is_run() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run scripts/build_fault_table.py"
