"""Expressions as text, with the fewest parentheses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from colang import tree
from colang.format.strings import quoted

_CONDITIONAL, _OR, _AND, _NOT, _COMPARISON, _BITOR, _UNARY, _POWER, _POSTFIX, _ATOM = (
    0,
    1,
    2,
    3,
    4,
    5,
    11,
    12,
    13,
    14,
)
_BINARY = {
    "|": _BITOR,
    "^": 6,
    "&": 7,
    "<<": 8,
    ">>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
    "/": 10,
    "//": 10,
    "%": 10,
    "**": _POWER,
}


def format_expression(expression: tree.Expression, strings: int = 0) -> str:
    """The text of an expression; `strings` is how many strings enclose it."""
    return _Formatter(strings).text(expression, _CONDITIONAL)


def format_arguments(arguments: tree.Arguments, strings: int = 0) -> str:
    """Arguments between parentheses."""
    return _Formatter(strings).arguments(arguments)


class _Formatter:
    def __init__(self, strings: int) -> None:
        self._strings = strings

    def text(self, expression: tree.Expression, least: int) -> str:
        """The expression, in parentheses if it binds less tightly than `least`."""
        written = _WRITERS[type(expression)](self, expression)
        return f"({written})" if level(expression) < least else written

    def arguments(self, arguments: tree.Arguments) -> str:
        """`(a, name=b)`: those by position, then those by name."""
        positional = [self.text(value, _CONDITIONAL) for value in arguments.positional]
        named = [f"{name}={self.text(value, _CONDITIONAL)}" for name, value in arguments.named]
        return f"({', '.join(positional + named)})"

    def literal(self, node: tree.Literal) -> str:
        """A number, a text in quotes, True, False or None; an infinite number as one too large for a float."""
        if isinstance(node.value, str):
            return quoted(node.value, self._strings)
        if isinstance(node.value, float) and math.isinf(node.value):
            return "1e999"
        return repr(node.value)

    def string(self, node: tree.Text) -> str:
        """A text with `{...}` parts, as one string."""
        return quoted(node.parts, self._strings, self._part)

    def _part(self, expression: tree.Expression) -> str:
        inside = format_expression(expression, self._strings + 1)
        return f" {inside} " if inside.startswith("{") else inside

    def instruction(self, node: tree.Instruction) -> str:
        """`..."what the model is told"`."""
        return f"...{self.text(node.text, _ATOM)}"

    def variable(self, node: tree.Variable) -> str:
        """`$name`."""
        return f"${node.name}"

    def list_(self, node: tree.ListDisplay) -> str:
        """`[a, b]`."""
        return f"[{self._items(node.items)}]"

    def set_(self, node: tree.SetDisplay) -> str:
        """`{a, b}`."""
        return f"{{{self._items(node.items)}}}"

    def dict_(self, node: tree.DictDisplay) -> str:
        """`{key: value}`."""
        entries = (f"{self.text(key, 0)}: {self.text(value, 0)}" for key, value in node.items)
        return f"{{{', '.join(entries)}}}"

    def _items(self, items: tuple[tree.Expression, ...]) -> str:
        return ", ".join(self.text(item, _CONDITIONAL) for item in items)

    def unary(self, node: tree.Unary) -> str:
        """`not a` or `-a`."""
        if node.operator == "not":
            return f"not {self.text(node.operand, _NOT)}"
        return f"{node.operator}{self.text(node.operand, _UNARY)}"

    def binary(self, node: tree.Binary) -> str:
        """`a + b`; `**` binds its right side first, all others their left."""
        own = _BINARY[node.operator]
        if node.operator == "**":
            return f"{self.text(node.left, _POSTFIX)} ** {self.text(node.right, _UNARY)}"
        return f"{self.text(node.left, own)} {node.operator} {self.text(node.right, own + 1)}"

    def comparison(self, node: tree.Comparison) -> str:
        """`a < b <= c`, as one chain."""
        words = [self.text(node.operands[0], _BITOR)]
        for operator, operand in zip(node.operators, node.operands[1:], strict=True):
            words += [operator, self.text(operand, _BITOR)]
        return " ".join(words)

    def boolean(self, node: tree.Boolean) -> str:
        """`a and b and c`, or with `or`."""
        least = level(node) + 1
        return f" {node.operator} ".join(self.text(operand, least) for operand in node.operands)

    def conditional(self, node: tree.Conditional) -> str:
        """`a if test else b`."""
        then, test = self.text(node.then, _OR), self.text(node.test, _OR)
        return f"{then} if {test} else {self.text(node.otherwise, _CONDITIONAL)}"

    def attribute(self, node: tree.Attribute) -> str:
        """`target.name`."""
        return f"{self._target(node.target)}.{node.name}"

    def index(self, node: tree.Index) -> str:
        """`target[index]`."""
        return f"{self._target(node.target)}[{self.text(node.index, _CONDITIONAL)}]"

    def slice(self, node: tree.Slice) -> str:
        """`target[start:stop:step]`, without what is left out."""
        start, stop, step = (
            self.text(bound, 0) if bound else "" for bound in (node.start, node.stop, node.step)
        )
        return f"{self._target(node.target)}[{start}:{stop}{':' + step if step else ''}]"

    def call(self, node: tree.Call) -> str:
        """`function(...)`."""
        return f"{node.function}{self.arguments(node.arguments)}"

    def method(self, node: tree.MethodCall) -> str:
        """`target.method(...)`."""
        return f"{self._target(node.target)}.{node.method}{self.arguments(node.arguments)}"

    def _target(self, node: tree.Expression) -> str:
        if isinstance(node, tree.Literal) and isinstance(node.value, int | float):
            return f"({self.text(node, 0)})"  # the dot would belong to the number
        return self.text(node, _POSTFIX)


def level(expression: tree.Expression) -> int:
    """How tightly an expression binds."""
    if isinstance(expression, tree.Conditional):
        return _CONDITIONAL
    if isinstance(expression, tree.Boolean):
        return _OR if expression.operator == "or" else _AND
    if isinstance(expression, tree.Comparison):
        return _COMPARISON
    if isinstance(expression, tree.Unary):
        return _NOT if expression.operator == "not" else _UNARY
    if isinstance(expression, tree.Binary):
        return _BINARY[expression.operator]
    if isinstance(expression, tree.Attribute | tree.Index | tree.Slice | tree.MethodCall):
        return _POSTFIX
    return _ATOM


_WRITERS: Mapping[type[tree.Node], Callable[..., str]] = {
    tree.Literal: _Formatter.literal,
    tree.Text: _Formatter.string,
    tree.Instruction: _Formatter.instruction,
    tree.Variable: _Formatter.variable,
    tree.ListDisplay: _Formatter.list_,
    tree.SetDisplay: _Formatter.set_,
    tree.DictDisplay: _Formatter.dict_,
    tree.Unary: _Formatter.unary,
    tree.Binary: _Formatter.binary,
    tree.Comparison: _Formatter.comparison,
    tree.Boolean: _Formatter.boolean,
    tree.Conditional: _Formatter.conditional,
    tree.Attribute: _Formatter.attribute,
    tree.Index: _Formatter.index,
    tree.Slice: _Formatter.slice,
    tree.Call: _Formatter.call,
    tree.MethodCall: _Formatter.method,
}
