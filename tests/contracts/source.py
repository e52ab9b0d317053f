"""Reads the packages as syntax trees, so that contracts can ask what imports what and how large things are.

Nothing here imports the code it reads: a contract holds for a file that cannot even be loaded on this machine.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Import:
    """One module of ours that another one names; `hard` where it is loaded as soon as the importer is."""

    target: str
    line: int
    hard: bool


@dataclass(frozen=True)
class Module:
    name: str
    path: Path
    is_package: bool
    text: str
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path)

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]

    @cached_property
    def code_lines(self) -> int:
        """Lines that hold a token other than a comment."""
        skipped = {
            tokenize.COMMENT,
            tokenize.NL,
            tokenize.NEWLINE,
            tokenize.INDENT,
            tokenize.DEDENT,
            tokenize.ENDMARKER,
        }
        lines: set[int] = set()
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type not in skipped:
                lines.update(range(token.start[0], token.end[0] + 1))
        return len(lines)

    @property
    def functions(self) -> Iterator[Function]:
        return (
            node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )


class Codebase:
    """The modules of some packages, and the imports between them."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules = {module.name: module for module in modules}
        self._imports: dict[str, list[Import]] = {}

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    def imports(self, module: Module) -> list[Import]:
        """What `module` imports from these packages, late and type-only imports included."""
        if module.name not in self._imports:
            self._imports[module.name] = self._read_imports(module)
        return self._imports[module.name]

    def _read_imports(self, module: Module) -> list[Import]:
        found: dict[tuple[str, bool], Import] = {}
        for node, hard in _import_nodes(module.tree, hard=True):
            for target in self._targets(module, node):
                if target != module.name:
                    found.setdefault((target, hard), Import(target, node.lineno, hard))
        return list(found.values())

    def _targets(self, module: Module, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            base = _base(module, node)
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            known = self._known(name)
            if known:
                yield known

    def _known(self, name: str) -> str | None:
        """The longest prefix of a dotted name that is a module: `a.b.Class` stands for `a.b`."""
        while name and name not in self.modules:
            name = name.rpartition(".")[0]
        return name or None

    def graph(self, *, hard_only: bool = True) -> dict[str, set[str]]:
        return {
            module.name: {item.target for item in self.imports(module) if item.hard or not hard_only}
            for module in self
        }


def _base(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    keep = len(parts) - node.level + (1 if module.is_package else 0)
    return ".".join([*parts[:keep], *([node.module] if node.module else [])])


def _import_nodes(node: ast.AST, *, hard: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, hard
        late = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from _import_nodes(child, hard=hard and not late and not typing_only)


def read(root: Path, packages: Iterable[str]) -> Codebase:
    """Every Python file of `packages` below `root`, but for the JavaScript tree of the chat page."""
    return Codebase(
        _module(root, path)
        for package in packages
        for path in sorted((root / package).rglob("*.py"))
        if "node_modules" not in path.parts
    )


def _module(root: Path, path: Path) -> Module:
    relative = path.relative_to(root)
    parts = relative.with_suffix("").parts
    is_package = parts[-1] == "__init__"
    text = path.read_text(encoding="utf-8")
    name = ".".join(parts[:-1] if is_package else parts)
    return Module(name, relative, is_package, text, ast.parse(text, str(relative)))


@lru_cache(maxsize=1)
def ours() -> Codebase:
    """The five rooms as they stand in this checkout."""
    return read(ROOT, ("nemoguardrails", "app", "rails_engine", "colang", "inference_backend"))


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """One cycle of the graph as a path that ends where it began; empty where there is none."""
    state: dict[str, bool] = {}
    path: list[str] = []

    def visit(node: str) -> list[str]:
        if node in state:
            return [*path[path.index(node) :], node] if state[node] else []
        state[node] = True
        path.append(node)
        for following in sorted(graph.get(node, ())):
            if found := visit(following):
                return found
        path.pop()
        state[node] = False
        return []

    return next((found for node in sorted(graph) if (found := visit(node))), [])


def longest_chain(graph: dict[str, set[str]]) -> list[str]:
    """The longest path of a graph without cycles."""
    best: dict[str, list[str]] = {}

    def chain(node: str) -> list[str]:
        if node not in best:
            best[node] = [node, *max((chain(n) for n in graph.get(node, ())), key=len, default=[])]
        return best[node]

    return max((chain(node) for node in graph), key=len, default=[])
