"""Small by default: files, functions, parameter lists, and the essay at each door."""

from __future__ import annotations

import ast

from tests.contracts.layout import EXEMPT_FILE_LENGTH, EXEMPT_FUNCTION_LENGTH, EXEMPT_PARAMETERS
from tests.contracts.source import ROOT, Codebase, Function, Module, ours

FILE_LINES = 500
FUNCTION_LINES = 60
PARAMETERS = 6
ESSAY_WORDS = 30


def long_files(code: Codebase) -> dict[str, int]:
    return {str(module.path): lines for module in code if (lines := module.code_lines) > FILE_LINES}


def long_functions(code: Codebase) -> dict[str, int]:
    return {
        f"{module.name}:{function.name}": lines
        for module in code
        for function in module.functions
        if (lines := length(function)) > FUNCTION_LINES
    }


def crowded_functions(code: Codebase) -> dict[str, int]:
    return {
        f"{module.name}:{function.name}": count
        for module in code
        for function in module.functions
        if (count := parameters(function)) > PARAMETERS
        and not _is_command(function)
        and not _is_kernel(function)
    }


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    spec = function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


def _is_command(function: Function) -> bool:
    """A typer command: its parameters are the options of a command line."""
    return any("command" in ast.unparse(decorator) for decorator in function.decorator_list)


def _is_kernel(function: Function) -> bool:
    """A Triton kernel: its parameters are its interface with the launcher, and it can take no objects."""
    return any("triton.jit" in ast.unparse(decorator) for decorator in function.decorator_list)


def missing_essays(code: Codebase) -> list[str]:
    """Packages without a docstring, and packages of three files or more whose docstring says too little."""
    return [str(module.path) for module in code if module.is_package and not _has_essay(code, module)]


def _has_essay(code: Codebase, package: Module) -> bool:
    words = len((ast.get_docstring(package.tree) or "").split())
    files = [m for m in code if m.name.rpartition(".")[0] == package.name and not m.is_package]
    few = len(files) < 3 or package.room == "nemoguardrails"
    return words > 0 if few else words >= ESSAY_WORDS


def test_files_stay_within_their_budget() -> None:
    over = {path: n for path, n in long_files(ours()).items() if path not in EXEMPT_FILE_LENGTH}
    assert not over, f"more than {FILE_LINES} code lines: {over}"


def test_test_files_stay_within_their_budget() -> None:
    lines = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "tests").rglob("*.py")
    }
    over = {str(path): n for path, n in lines.items() if n > FILE_LINES}
    assert lines
    assert not over, f"more than {FILE_LINES} lines: {over}"


def test_functions_stay_within_their_budget() -> None:
    over = {name: n for name, n in long_functions(ours()).items() if name not in EXEMPT_FUNCTION_LENGTH}
    assert not over, f"more than {FUNCTION_LINES} lines: {over}"


def test_parameter_lists_stay_within_their_budget() -> None:
    over = {name: n for name, n in crowded_functions(ours()).items() if name not in EXEMPT_PARAMETERS}
    assert not over, f"more than {PARAMETERS} parameters, so a value type is missing: {over}"


def test_each_package_opens_with_its_essay() -> None:
    missing = missing_essays(ours())
    assert not missing, f"say in the docstring how the package works ({ESSAY_WORDS} words or more): {missing}"


def test_every_size_exemption_is_still_needed() -> None:
    code = ours()
    idle = (
        (EXEMPT_FILE_LENGTH.keys() - long_files(code))
        | (EXEMPT_FUNCTION_LENGTH.keys() - long_functions(code))
        | (EXEMPT_PARAMETERS.keys() - crowded_functions(code))
    )
    assert not idle


# --- the checks themselves can fail --------------------------------------------------------------------------------


def one_file(text: str) -> Codebase:
    path = ours().modules["colang"].path
    return Codebase([Module("colang", path, is_package=True, text=text, tree=ast.parse(text))])


def test_an_oversized_file_and_function_are_seen() -> None:
    code = one_file("def f() -> None:\n" + "    x = 1\n" * 501)
    assert long_files(code)
    assert long_functions(code) == {"colang:f": 502}


def test_comments_and_blank_lines_are_no_code() -> None:
    assert next(iter(one_file('# why\n\nx = """two\nlines"""\n'))).code_lines == 2


def test_seven_parameters_are_seen() -> None:
    assert crowded_functions(one_file("def f(self, a, b, c, d, e, *, g, h): ...\n")) == {"colang:f": 7}


def test_a_missing_essay_is_seen() -> None:
    assert missing_essays(one_file("x = 1\n"))
