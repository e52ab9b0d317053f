"""Files of a program: how an import finds them, and how an error shows the place in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from colang import Event, ImportPath, Source, begin, load, new_state, pointed, step, to_json
from colang.errors import ColangImportError, ColangLoadError
from colang.source import SHOWN

FLOW = "flow {}\n  match Never()\n"


@pytest.fixture
def path(tmp_path: Path) -> ImportPath:
    """A folder on the path with `one.co` and `many/`, and a package `pack.age` with `inner/deep.co`."""
    names = ("on/one.co", "on/many/a.co", "on/many/below/b.co", "pack/top.co", "pack/inner/deep.co")
    for name in names:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(FLOW.format(file.stem))
    return ImportPath((tmp_path / "on",), {"pack.age": tmp_path / "pack"})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("one", ["one"]),
        ("many", ["a", "b"]),
        ("many.below", ["b"]),
        ("many/below/b.co", ["b"]),
        ("pack.age", ["deep", "top"]),
        ("pack.age.top", ["top"]),
        ("pack.age.inner", ["deep"]),
        ("pack.age.inner.deep", ["deep"]),
        ("core", ["core"]),
        ("pack.ages", []),
        ("pack", []),
    ],
)
def test_an_import_finds_a_file_or_all_below_a_folder(path: ImportPath, name: str, found: list[str]) -> None:
    assert sorted(file.stem for file in path.find(name)) == found


def test_an_import_that_finds_nothing_says_where_it_looked_and_what_was_perhaps_meant(
    path: ImportPath,
) -> None:
    with pytest.raises(ColangImportError, match=r"(?s)`import pack.age.iner`.*pack/iner.*`pack.age.inner`"):
        load([Source("main.co", "import pack.age.iner\nflow main\n  match Never()\n")], path=path)


def test_a_file_is_read_once_however_it_is_imported(path: ImportPath) -> None:
    text = 'import many\nimport many.below\nimport "many/below/b.co"\nflow main\n  match Never()\n'
    assert {"a", "b", "main"} <= load([Source("main.co", text)], path=path).flows.keys()


def test_a_file_that_cannot_be_read_is_named(path: ImportPath) -> None:
    (path.folders[0] / "one.co").write_bytes(b"\xff\xfe")
    with pytest.raises(ColangLoadError, match=r"one\.co cannot be read"):
        load([Source("main.co", "import one\nflow main\n  match Never()\n")], path=path)


@pytest.mark.parametrize(
    ("line", "column", "width", "shown"),
    [
        ("send A", 6, 1, "  send A\n       ^"),
        ("send A", 1, 4, "  send A\n  ^^^^"),
        ("send A", 6, 99, "  send A\n       ^"),
        ("send A", 7, 1, "  send A\n        ^"),
        ("\tsend A", 2, 4, "   send A\n   ^^^^"),
    ],
)
def test_a_place_is_shown_with_carets_that_stay_within_the_line(
    line: str, column: int, width: int, shown: str
) -> None:
    assert pointed(line, column, width) == shown


def test_of_a_long_line_the_part_around_the_place_is_shown() -> None:
    line = "a" * 500 + "!" + "b" * 500
    text, carets = pointed(line, 501).split("\n")
    assert len(text) == SHOWN + 4
    assert text.strip("… ").startswith("a")
    assert text[carets.index("^")] == "!"


def test_a_saved_set_reads_the_same_in_every_process() -> None:
    program = load([Source("main.co", "flow main\n  match Go() as $e\n  $s = $e.s\n  match Never()\n")])
    state = new_state(program)
    begin(program, state)
    names = [f"name {number}" for number in range(9)]
    step(program, state, Event("Go", {"s": set(names)}))
    assert str(names).replace("'", '"').replace(", ", ",") in to_json(program, state)
