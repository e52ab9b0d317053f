"""The house rules that no tool knows: configurations are tested and explained, pages are listed, data is packed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from scripts.conformance import Result, judge
from tests.contracts.source import ROOT

CONFIGS = sorted(path for path in (ROOT / "configs").iterdir() if path.is_dir())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_each_configuration_has_a_page_and_a_test(config: Path) -> None:
    assert (config / "README.md").is_file()
    assert (ROOT / "tests" / "configs" / f"test_{config.name}.py").is_file()


def test_the_readme_opens_with_the_two_commands() -> None:
    head = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:5]
    assert any("make chat" in line for line in head)
    assert any("make test" in line for line in head)


def test_every_room_is_packed_and_typed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == {"nemoguardrails", "app", "rails_engine", "colang", "inference_backend"}
    assert all((ROOT / package / "py.typed").is_file() for package in packages)


def test_conformance_accepts_a_listed_failure_and_nothing_else() -> None:
    results = [Result("good", "2.x", ""), Result("listed", "2.x", "text"), Result("bad", "2.x", "text")]
    verdict = judge(results, {"listed": "the peer is wrong", "good": "no longer true"})
    assert verdict.passed == 1
    assert [r.case for r in verdict.failed] == ["bad"]
    assert [r.case for r in verdict.accepted] == ["listed"]
    assert [r.case for r in verdict.stale] == ["good"]


def test_every_benchmark_is_listed() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "benchmarks").glob("*.py") if f"`{path.name}`" not in page] == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [
        path.name
        for path in (ROOT / "docs").glob("*.md")
        if path.name != "index.md" and f"({path.name})" not in index
    ] == []
