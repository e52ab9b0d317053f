"""What never stands in the packages: code from data, hidden state, and handlers that swallow without a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.contracts.layout import EXEMPT_STATE
from tests.contracts.source import ROOT, Module, ours

FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "nest_asyncio",
    "joblib",
}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_ATTRIBUTES = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load", "os.system"}
CONTAINERS = {"dict", "list", "set", "defaultdict", "deque", "Counter", "OrderedDict", "WeakValueDictionary"}
MUTATORS = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault",
    "update",
}  # fmt: skip


def dangerous(module: Module) -> Iterator[str]:
    """Uses of a module or call that turns data into code."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            for name in names:
                if name.partition(".")[0] in FORBIDDEN_MODULES:
                    yield f"{module}:{node.lineno} imports {name}"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in FORBIDDEN_CALLS | FORBIDDEN_ATTRIBUTES:
                yield f"{module}:{node.lineno} calls {called}"


def kept_state(module: Module) -> Iterator[str]:
    """State that outlives a call: context variables, rebound globals, mutated containers, endless caches."""
    containers = set(_module_containers(module.tree))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            yield f"{module}:{node.lineno} rebinds the global {', '.join(node.names)}"
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ContextVar"):
            yield f"{module}:{node.lineno} declares a ContextVar"
        elif (name := _mutated(node)) in containers:
            yield f"{module}:{node.lineno} changes the module's {name}"
    yield from _endless_caches(module)


def _module_containers(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _is_container(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))


def _is_container(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] in CONTAINERS
    return isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp)


def _mutated(node: ast.AST) -> str | None:
    """The name whose content `node` changes, if it changes one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return ast.unparse(node.func.value)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
        return ast.unparse(node.value)
    return None


def _endless_caches(module: Module) -> Iterator[str]:
    for function in module.functions:
        for decorator in function.decorator_list:
            text = ast.unparse(decorator)
            endless = text.endswith(("functools.cache", "maxsize=None)")) or text == "cache"
            if endless and function.args.args:
                yield f"{module}:{function.lineno} {function.name} caches without a bound"


def unexplained_handlers(module: Module) -> Iterator[str]:
    """`except Exception` (or wider) whose line does not say why it is wide."""
    lines = module.text.splitlines()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else ""
            line = lines[node.lineno - 1]
            if caught in {"", "Exception", "BaseException"} and not _reason(line):
                yield f"{module}:{node.lineno} {line.strip()}"


def _reason(line: str) -> str:
    """The words of a line's comment besides its linter codes."""
    comment = line.partition("#")[2]
    return re.sub(r"noqa(: *[A-Z0-9, ]+\b)?|pragma: *no cover|[-#:]", "", comment).strip()


def test_no_data_becomes_code() -> None:
    assert not [found for module in ours() for found in dangerous(module)]


def test_no_state_outlives_a_call() -> None:
    found = [line for module in ours() if module.name not in EXEMPT_STATE for line in kept_state(module)]
    assert not found


def test_every_state_exemption_is_still_needed() -> None:
    idle = [name for name in EXEMPT_STATE if (m := ours().modules.get(name)) and not list(kept_state(m))]
    assert not idle


def test_every_wide_handler_says_why() -> None:
    found = [line for module in ours() for line in unexplained_handlers(module)]
    assert not found, "write the reason on the line: `except Exception as e:  # noqa: BLE001 -- reason`"


def test_every_switched_off_rule_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'^  "([A-Z]+[0-9]*)",(.*)$', text, re.MULTILINE)
    assert listed
    assert not [rule for rule, rest in listed if not re.search(r"#\s*\w+", rest)]


# --- the checks themselves can fail --------------------------------------------------------------------------------


def module_of(text: str) -> Module:
    return Module("colang", ours().modules["colang"].path, is_package=True, text=text, tree=ast.parse(text))


@pytest.mark.parametrize(
    "line",
    ["import pickle", "from marshal import loads", "eval('1')", "import yaml\nyaml.load(x)", "torch.load(p)"],
)
def test_a_dangerous_line_is_seen(line: str) -> None:
    assert list(dangerous(module_of(line)))


@pytest.mark.parametrize(
    "text",
    [
        "seen = set()\ndef f(x):\n    seen.add(x)\n",
        "table = {}\ndef f(x):\n    table[x] = 1\n",
        "n = 0\ndef f():\n    global n\n    n = 1\n",
        "from contextvars import ContextVar\nv = ContextVar('v')\n",
        "from functools import cache\n@cache\ndef f(x): ...\n",
    ],
)
def test_kept_state_is_seen(text: str) -> None:
    assert list(kept_state(module_of(text)))


def test_a_table_that_nobody_changes_is_no_state() -> None:
    assert not list(
        kept_state(module_of("table = {'a': 1}\ndef f(x):\n    local = {}\n    local[x] = table[x]\n"))
    )


def test_a_wide_handler_without_reason_is_seen() -> None:
    assert list(unexplained_handlers(module_of("try:\n    x\nexcept Exception:  # noqa: BLE001\n    pass\n")))
    explained = "try:\n    x\nexcept Exception:  # noqa: BLE001 -- an action may raise anything\n    pass\n"
    assert not list(unexplained_handlers(module_of(explained)))
