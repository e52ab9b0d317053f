"""Imports point one way: between rooms, between the parts of a room, and through doors."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.contracts.layout import EXEMPT_CHAINS, EXEMPT_DIRECTIONS, GATES, ORDER, ROOMS
from tests.contracts.source import Codebase, Module, cycle, longest_chain, ours, read

TORCH_FREE = ("inference_backend.kv.blocks", "inference_backend.kv.prefix", "inference_backend.scheduler")
CHAIN = 10
Edge = tuple[str, str]


def room_breaches(code: Codebase) -> set[Edge]:
    """Imports between rooms that the plan does not draw."""
    return {
        (module.name, item.target)
        for module in code
        for item in code.imports(module)
        if not _allowed(module.name, item.target)
    }


def _allowed(importer: str, imported: str) -> bool:
    here, there = importer.partition(".")[0], imported.partition(".")[0]
    gate = GATES.get((here, there), ())
    return here == there or there in ROOMS[here] or importer.startswith(gate)


def door_breaches(code: Codebase) -> set[Edge]:
    """Imports of a module inside a folder by somebody outside that folder: its `__init__` is the door."""
    return {
        (module.name, item.target)
        for module in code
        for item in code.imports(module)
        if not _is_door(code.modules[item.target]) and not _beside(module.name, item.target)
    }


def _is_door(module: Module) -> bool:
    """A folder's `__init__`, or its `errors`: who catches an error need not load what raises it."""
    return module.is_package or module.name.endswith(".errors")


def _beside(importer: str, imported: str) -> bool:
    """True where the importer lives in or below the folder that holds the imported file."""
    return importer.startswith(imported.rpartition(".")[0] + ".") or importer == imported.rpartition(".")[0]


def order_breaches(code: Codebase) -> set[Edge]:
    """Imports inside a room that point from a lower part to a higher one."""
    return {
        (module.name, item.target)
        for module in code
        for item in code.imports(module)
        if _points_up(module.name, item.target)
    }


def _points_up(importer: str, imported: str) -> bool:
    """True where a part imports one of its own layer or above; the room's own door may import all of them."""
    (here, part), (there, other) = _part(importer), _part(imported)
    inside = here == there and part and other and part != other
    return bool(inside) and _layer(here, other) >= _layer(here, part)


def _part(name: str) -> tuple[str, str]:
    """`("colang", "v2")` for `colang.v2.parser`."""
    room, _, rest = name.partition(".")
    return room, rest.partition(".")[0]


def _layer(room: str, part: str) -> int:
    """The line of ORDER that has the part; the door, and a part that has no line yet, stand on top."""
    layers = [line.split() for line in ORDER.get(room, ())]
    return next((i for i, layer in enumerate(layers) if part in layer), len(layers))


def shared_parts(code: Codebase) -> dict[str, set[str]]:
    """Each folder's parts as a graph: `a/b/c.py` importing `a/d.py` is an edge from `a.b` to `a.d`."""
    graph: dict[str, set[str]] = {}
    for importer, targets in code.graph(hard_only=False).items():
        for target in targets:
            left, right = _parts_below_common_folder(importer, target)
            if left and right and left != right:
                graph.setdefault(left, set()).add(right)
    return graph


def long_chains(code: Codebase) -> dict[str, list[str]]:
    """Folder to its longest chain of parts that import one another, where it has more than `CHAIN` links."""
    folders: dict[str, dict[str, set[str]]] = {}
    for part, imported in shared_parts(code).items():
        folders.setdefault(part.rpartition(".")[0], {})[part] = imported
    chains = {folder: longest_chain(graph) for folder, graph in folders.items()}
    return {folder: chain for folder, chain in chains.items() if len(chain) > CHAIN}


def _parts_below_common_folder(importer: str, imported: str) -> tuple[str, str]:
    a, b = importer.split("."), imported.split(".")
    depth = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if depth in {len(a), len(b)}:
        return "", ""
    return ".".join(a[: depth + 1]), ".".join(b[: depth + 1])


def _exempted(breaches: set[Edge]) -> set[Edge]:
    return {edge for edge in breaches if edge not in EXEMPT_DIRECTIONS}


def _shown(edges: set[Edge]) -> str:
    return "\n".join(f"  {importer} imports {imported}" for importer, imported in sorted(edges))


def test_rooms_import_only_the_rooms_below_them() -> None:
    breaches = _exempted(room_breaches(ours()))
    assert not breaches, f"imports against the plan of docs/architecture.md:\n{_shown(breaches)}"


def test_a_folder_is_entered_through_its_door() -> None:
    breaches = _exempted(door_breaches(ours()))
    assert not breaches, f"import the folder (its __init__), not a file inside it:\n{_shown(breaches)}"


def test_the_parts_of_a_room_keep_their_order() -> None:
    breaches = _exempted(order_breaches(ours()))
    assert not breaches, f"imports against ORDER in tests/contracts/layout.py:\n{_shown(breaches)}"


def test_every_part_has_its_line_and_every_line_its_parts() -> None:
    listed = {(room, part) for room, layers in ORDER.items() for line in layers for part in line.split()}
    there = {part for module in ours() if (part := _part(module.name))[1]}
    assert listed == there, "write the part's line in ORDER in tests/contracts/layout.py"


def test_no_two_parts_import_each_other() -> None:
    assert not (found := cycle(shared_parts(ours()))), f"a circle of parts: {' -> '.join(found)}"


def test_no_module_is_loaded_in_a_circle() -> None:
    assert not (found := cycle(ours().graph())), f"a circle of modules: {' -> '.join(found)}"


def test_a_folder_is_understood_in_a_few_steps() -> None:
    long = {f: " -> ".join(chain) for f, chain in long_chains(ours()).items() if f not in EXEMPT_CHAINS}
    assert not long, f"more than {CHAIN} parts that build on one another: {long}"


def test_every_chain_exemption_is_still_needed() -> None:
    assert not set(EXEMPT_CHAINS) - set(long_chains(ours()))


def test_every_direction_exemption_is_still_needed() -> None:
    code = ours()
    needed = room_breaches(code) | door_breaches(code) | order_breaches(code)
    assert not (idle := set(EXEMPT_DIRECTIONS) - needed), f"no longer needed:\n{_shown(idle)}"


@pytest.mark.parametrize("name", TORCH_FREE)
def test_planning_knows_no_tensors(name: str) -> None:
    code = ours()
    reached, waiting = set[str](), [name]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting += [item.target for item in code.imports(code.modules[current]) if item.hard]
    offenders = {module for module in reached if "import torch" in code.modules[module].text}
    assert not offenders


# --- the checks themselves can fail --------------------------------------------------------------------------------


def tree(root: Path, **files: str) -> Codebase:
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(root).parents:
            if folder != Path():
                (root / folder / "__init__.py").touch()
        path.write_text(text)
    return read(root, sorted({name.partition("__")[0] for name in files}))


def test_an_upward_import_is_seen_even_inside_a_function(tmp_path: Path) -> None:
    code = tree(tmp_path, colang__step="def f():\n    from rails_engine import x\n", rails_engine__x="")
    assert room_breaches(code) == {("colang.step", "rails_engine.x")}


def test_a_gate_is_open_to_its_keeper_alone(tmp_path: Path) -> None:
    line = "from inference_backend import engine\n"
    code = tree(
        tmp_path, rails_engine__llm__local=line, rails_engine__llm__remote=line, inference_backend__engine=""
    )
    assert room_breaches(code) == {("rails_engine.llm.remote", "inference_backend.engine")}


def test_walking_past_a_door_is_seen(tmp_path: Path) -> None:
    code = tree(
        tmp_path,
        rails_engine__engine="from rails_engine.llm.base import LLM\nfrom rails_engine.llm import LLM\n",
        rails_engine__llm__base="LLM = 1\n",
    )
    assert door_breaches(code) == {("rails_engine.engine", "rails_engine.llm.base")}


def test_relative_imports_and_circles_are_seen(tmp_path: Path) -> None:
    code = tree(tmp_path, colang__a="from . import b\n", colang__b="from .a import x\n")
    assert cycle(code.graph()) == ["colang.a", "colang.b", "colang.a"]


def test_an_order_breach_is_seen(tmp_path: Path) -> None:
    code = tree(tmp_path, colang__source="from colang.tree import Flow\n", colang__tree="")
    assert order_breaches(code) == {("colang.source", "colang.tree")}


def test_a_long_chain_is_seen(tmp_path: Path) -> None:
    links = {f"colang__{a}": f"from colang.{b} import x\n" for a, b in pairwise("abcdefghijkl")}
    assert list(long_chains(tree(tmp_path, colang__l="", **links))) == ["colang"]


def test_the_longest_chain_is_found() -> None:
    assert longest_chain({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == ["a", "b", "c"]
