"""Pages of `docs/` that a script writes are what the script would write now."""

from __future__ import annotations

from scripts import build_config_reference, build_fault_table


def test_the_fault_table_is_the_one_that_is_run() -> None:
    written = build_fault_table.PAGE.read_text(encoding="utf-8")
    assert written == build_fault_table.page(), "run scripts/build_fault_table.py"


def test_the_page_of_keys_is_the_schema_that_is_loaded_with() -> None:
    written = build_config_reference.PAGE.read_text(encoding="utf-8")
    assert written == build_config_reference.page(), "run scripts/build_config_reference.py"


def test_every_key_of_ours_says_what_it_means() -> None:
    rows = [
        line.split(" | ") for line in build_config_reference.page().splitlines() if line.startswith("| `")
    ]
    vendors = tuple(f"| `rails.config.{name}" for name in build_config_reference.VENDORS)
    assert rows
    assert [row[0] for row in rows if row[-1].strip(" |") == "" and not row[0].startswith(vendors)] == []
