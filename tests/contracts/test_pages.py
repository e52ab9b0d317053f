"""Pages name what is there: links lead somewhere, files exist, and what a script writes is what it would write now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import build_config_reference, build_fault_table
from tests.contracts.source import ROOT

PAGES = sorted(
    page for part in (".", "docs", "benchmarks", "configs/*") for page in ROOT.glob(f"{part}/*.md")
)
FOLDERS = (ROOT, *(ROOT / room for room in ("rails_engine", "inference_backend", "colang", "app")))


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        target, _, anchor = link.partition("#")
        there = page.parent / target if target else page
        if not link.startswith("http") and (not there.exists() or (anchor and anchor not in anchors(there))):
            yield link


def missing_files(page: Path) -> Iterator[str]:
    """Files in backquotes, of a folder under the root or under a room, that are not in it."""
    for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|cu|co|md|yml))`", prose(page)):
        folders = [folder for folder in FOLDERS if (folder / name).parents[name.count("/") - 1].is_dir()]
        if folders and not any((folder / name).exists() for folder in folders):
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_to_is_there(page: Path) -> None:
    assert [*dead_links(page), *missing_files(page)] == []


def test_a_dead_link_and_a_missing_file_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](#one) [b](#two) [c](gone.md) `rails_engine/turn.py` `rails_engine/gone.py`\n")
    assert [*dead_links(page), *missing_files(page)] == ["#two", "gone.md", "rails_engine/gone.py"]


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
