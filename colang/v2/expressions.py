"""From lark trees to expressions.

The grammar keeps chains flat (`1 + 2 * 3` is one `arithmetic` node), so that no input makes the parser recurse deeper
than its brackets; the precedence of arithmetic is worked out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile
from typing import TypeAlias, TypeVar

from lark import Token, Tree
from lark.tree import Meta

from colang import tree
from colang.source import Span
from colang.v2.strings import Part, quote_width, split, unescape

Child: TypeAlias = Tree[Token] | Token

MAX_DEPTH = 100
"""How deep an expression may be; later passes walk it recursively."""

MAX_STRINGS = 2
"""How many strings may stand inside the `{...}` parts of one another."""

_LEVELS = ({"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "//", "%"})
_PRECEDENCE = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}
_MAX_DIGITS = 1000
_OPERATORS = frozenset({"OPERATOR", "SIGN", "TILDE", "POWER"})
_CONSTANTS = {"True": True, "False": False, "None": None}


class BuildError(Exception):
    """What the grammar lets pass and no program may contain."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


@dataclass(frozen=True, slots=True)
class Place:
    """Where the parsed text begins: the inside of a string is parsed on its own."""

    source: str
    line: int = 1
    column: int = 1
    strings: int = 0
    """How many strings enclose this text."""
    has_parts: bool = True
    """Whether `{...}` in a string holds an expression; not so in Colang 1.0."""

    def span(self, child: Child) -> Span:
        """The stretch of the source where a node or token of this text stands."""
        at = child if isinstance(child, Token) else child.meta
        if isinstance(at, Meta) and at.empty:
            return Span(self.source, *self._shift(1, 1), *self._shift(1, 1))
        line, column = self._shift(at.line or 1, at.column or 1)
        end_line, end_column = self._shift(at.end_line or 1, at.end_column or 1)
        return Span(self.source, line, column, end_line, end_column)

    def behind(self, child: Token, skipped: str) -> Place:
        """The place behind `skipped`, which is the beginning of the token `child`."""
        lines = skipped.split("\n")
        first = (child.column or 1) + len(skipped) if len(lines) == 1 else len(lines[-1]) + 1
        line, column = self._shift((child.line or 1) + len(lines) - 1, first)
        return Place(self.source, line, column, self.strings + 1)

    def moved(self, columns: int) -> Place:
        """The place so many columns to the right."""
        return replace(self, column=self.column + columns)

    def _shift(self, line: int, column: int) -> tuple[int, int]:
        return line + self.line - 1, column + self.column - 1 if line == 1 else column


ParseInside: TypeAlias = Callable[[str], Child | None]
"""Reads the inside of a `{...}` part; None if it is no expression."""

_Built = TypeVar("_Built", bound=tree.Node)


class ExpressionBuilder:
    """Builds the expressions of one text; `parse_inside` reads the `{...}` parts of its strings.

    A method that is named after a rule or token of the grammar builds what that has found (`RULES`, `TOKENS`).

    Raises:
        BuildError: from each of them, for what the grammar lets pass and no program may contain.
    """

    def __init__(self, place: Place, parse_inside: ParseInside) -> None:
        self.place = place
        self.notices: list[tree.Notice] = []
        self._parse_inside = parse_inside
        # How deep each composite expression is, by its id: the growing tree keeps them all alive.
        self._depths: dict[int, int] = {}

    def at(self, place: Place) -> ExpressionBuilder:
        """A builder for a text inside this one."""
        inner = ExpressionBuilder(place, self._parse_inside)
        inner.notices = self.notices
        inner._depths = self._depths
        return inner

    def build(self, child: Child) -> tree.Expression:
        """The expression that a node or token of the grammar stands for."""
        if isinstance(child, Token):
            return TOKENS[child.type](self, child)
        return RULES[child.data](self, child)

    def arguments(self, node: Tree[Token]) -> tree.Arguments:
        """The arguments between parentheses: positional ones, then named ones."""
        positional: list[tree.Expression] = []
        named: list[tuple[str, tree.Expression]] = []
        for child in node.children:
            if isinstance(child, Tree) and child.data in _NAMED:
                named.append(self._named(child, named))
            elif named and node.data == "arguments":
                raise BuildError(
                    "a positional argument cannot stand behind a named one", self.place.span(child)
                )
            else:
                positional.append(self.build(child))
        return tree.Arguments(positional=tuple(positional), named=tuple(named), span=self.place.span(node))

    def _named(
        self, child: Tree[Token], earlier: Sequence[tuple[str, object]]
    ) -> tuple[str, tree.Expression]:
        name = str(child.children[0]).removeprefix("$")
        if any(name == other for other, _ in earlier):
            raise BuildError(f"the argument `{name}` is given twice", self.place.span(child))
        return name, self.build(child.children[-1])

    # --- tokens ---

    def number(self, token: Token) -> tree.Literal:
        """A whole number or a float, `_` between its digits left out.

        Raises:
            BuildError: a whole number with too many digits to be read.
        """
        text = token.replace("_", "")
        value = float(text) if any(mark in text for mark in ".eE") else _integer(text)
        if value is None:
            raise BuildError("this number has too many digits", self.place.span(token))
        return tree.Literal(value=value, span=self.place.span(token))

    def constant(self, token: Token) -> tree.Literal:
        """`True`, `False` or `None`."""
        return tree.Literal(value=_CONSTANTS[str(token)], span=self.place.span(token))

    def variable(self, token: Token) -> tree.Variable:
        """`$name`."""
        return tree.Variable(name=token[1:], span=self.place.span(token))

    def string(self, token: Token) -> tree.Literal | tree.Text:
        """A string as written, quotes included; one without parts is a literal."""
        width = quote_width(token)
        return self.text(token[width:-width], token, width)

    def text(self, content: str, token: Token, skip: int) -> tree.Literal | tree.Text:
        """The `content` of a string that begins `skip` characters into `token`."""
        parts: list[str | tree.Expression] = []
        for piece in split(content) if self.place.has_parts else (unescape(content),):
            part = self._part(piece, token, skip) if isinstance(piece, Part) else piece
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            else:
                parts.append(part)
        span = self.place.span(token)
        expressions = [part for part in parts if not isinstance(part, str)]
        if not expressions:
            return tree.Literal(value="".join(map(str, parts)), span=span)
        return self._limit(tree.Text(parts=tuple(parts), span=span), *expressions)

    def _part(self, part: Part, token: Token, skip: int) -> str | tree.Expression:
        """The expression of a `{...}` part; what reads as none is text, as in `[a-z]{0,2}`."""
        place = self.place.behind(token, token[: skip + part.offset])
        if place.strings > MAX_STRINGS:
            raise BuildError(f"strings are nested more than {MAX_STRINGS} deep", self.place.span(token))
        inside = self._parse_inside(part.text)
        if inside is None:
            message = (
                f"`{{{part.text}}}` holds no expression and stays as it is; write `{{{{` and `}}}}` to say so"
            )
            self.notices.append(tree.Notice(message=message, span=self.place.span(token)))
            return f"{{{part.text}}}"
        return self.at(place).build(inside)

    # --- rules ---

    def instruction(self, node: Tree[Token]) -> tree.Instruction:
        """`..."what the model is told"`."""
        token = node.children[-1]
        text = self.string(as_token(token))
        return tree.Instruction(text=text, span=self.place.span(node))

    def parenthesis(self, node: Tree[Token]) -> tree.Expression:
        """`(a)`, which is `a`: the tree says what binds to what."""
        return self.build(node.children[0])

    def call(self, node: Tree[Token]) -> tree.Call:
        """`function(a, name=b)`.

        Raises:
            BuildError: an argument is given twice.
        """
        name, arguments = node.children
        built = self.arguments(as_tree(arguments))
        call = tree.Call(function=str(name), arguments=built, span=self.place.span(node))
        return self._limit(call, *_argument_values(built))

    def list_(self, node: Tree[Token]) -> tree.ListDisplay:
        """`[a, b]`."""
        items = tuple(self.build(child) for child in node.children)
        return self._limit(tree.ListDisplay(items=items, span=self.place.span(node)), *items)

    def set_(self, node: Tree[Token]) -> tree.SetDisplay:
        """`{a, b}`."""
        items = tuple(self.build(child) for child in node.children)
        return self._limit(tree.SetDisplay(items=items, span=self.place.span(node)), *items)

    def dict_(self, node: Tree[Token]) -> tree.DictDisplay:
        """`{key: value}`."""
        pairs = [tuple(self.build(part) for part in as_tree(entry).children) for entry in node.children]
        items = tuple((key, value) for key, value in pairs)
        flat = (expression for pair in items for expression in pair)
        return self._limit(tree.DictDisplay(items=items, span=self.place.span(node)), *flat)

    def conditional(self, node: Tree[Token]) -> tree.Expression:
        """`a if test else b`; several in a row are taken from the right."""
        *earlier, result = [self.build(child) for child in node.children]
        while earlier:
            test, then = earlier.pop(), earlier.pop()
            whole = tree.Conditional(test=test, then=then, otherwise=result, span=_joined(then, result))
            result = self._limit(whole, test, then, result)
        return result

    def logic(self, node: Tree[Token]) -> tree.Expression:
        """`or` over `and` over `not` over comparisons."""
        choices = [
            self._boolean("and", [self._negation(part) for part in _split(choice, "_AND")])
            for choice in _split(node.children, "_OR")
        ]
        return self._boolean("or", choices)

    def _boolean(self, operator: str, operands: list[tree.Expression]) -> tree.Expression:
        if len(operands) == 1:
            return operands[0]
        span = _joined(operands[0], operands[-1])
        boolean = tree.Boolean(operator=operator, operands=tuple(operands), span=span)
        return self._limit(boolean, *operands)

    def _negation(self, children: list[Child]) -> tree.Expression:
        """A comparison with `not` in front of it."""
        signs = list(takewhile(_is_not, children))
        rest = children[len(signs) :]
        for child in rest:
            if _is_not(child):
                raise BuildError("`not` behind a comparison needs parentheses", self.place.span(child))
        operands = tuple(self.build(child) for child in rest[::2])
        operators = tuple(" ".join(str(child).split()) for child in rest[1::2])
        result = operands[0]
        if operators:
            span = _joined(operands[0], operands[-1])
            comparison = tree.Comparison(operators=operators, operands=operands, span=span)
            result = self._limit(comparison, *operands)
        return self._signed(signs, result)

    def arithmetic(self, node: Tree[Token]) -> tree.Expression:
        """Terms between operators: fold whatever binds at least as tightly as the next operator."""
        operands: list[tree.Expression] = []
        operators: list[str] = []
        for operator, term in _terms(node.children):
            while operators and _PRECEDENCE[operators[-1]] >= _PRECEDENCE[operator]:
                self._fold(operands, operators)
            if operands:
                operators.append(operator)
            operands.append(self._term(term))
        while operators:
            self._fold(operands, operators)
        return operands[0]

    def _term(self, children: list[Child]) -> tree.Expression:
        """Powers, which group to the right; a sign binds less tightly than the power behind it."""
        *bases, last = _split(children, "POWER")
        result = self._signed(last[:-1], self.build(last[-1]))
        for base in reversed(bases):
            left = self.build(base[-1])
            power = tree.Binary(operator="**", left=left, right=result, span=_joined(left, result))
            result = self._signed(base[:-1], self._limit(power, left, result))
        return result

    def _signed(self, signs: Sequence[Child], operand: tree.Expression) -> tree.Expression:
        """`not x`, `-x`, `+x`, `~x`, and several of them in a row."""
        for sign in reversed(signs):
            start, end = self.place.span(sign), operand.span
            span = Span(start.source, start.line, start.column, end.end_line, end.end_column)
            operand = self._limit(tree.Unary(operator=str(sign), operand=operand, span=span), operand)
        return operand

    def _fold(self, operands: list[tree.Expression], operators: list[str]) -> None:
        right, left = operands.pop(), operands.pop()
        binary = tree.Binary(operator=operators.pop(), left=left, right=right, span=_joined(left, right))
        operands.append(self._limit(binary, left, right))

    def postfix(self, node: Tree[Token]) -> tree.Expression:
        """A value with what is hung on it, from left to right: `.name`, `.method(...)`, `[index]`, `[start:stop]`."""
        first, *trailers = node.children
        result = self.build(first)
        for trailer in trailers:
            result = self._trailer(result, as_tree(trailer))
        return result

    def _trailer(self, target: tree.Expression, trailer: Tree[Token]) -> tree.Expression:
        end = self.place.span(trailer)
        span = Span(end.source, target.span.line, target.span.column, end.end_line, end.end_column)
        children = trailer.children
        if trailer.data == "attribute":
            return self._limit(tree.Attribute(target=target, name=str(children[0]), span=span), target)
        if trailer.data == "index":
            index = self.build(children[0])
            return self._limit(tree.Index(target=target, index=index, span=span), target, index)
        if trailer.data == "slice":
            bounds = [self._bound(as_tree(bound)) for bound in children]
            start, stop, step = (*bounds, None)[:3]
            whole = tree.Slice(target=target, start=start, stop=stop, step=step, span=span)
            return self._limit(whole, target, *(bound for bound in bounds if bound is not None))
        arguments = self.arguments(as_tree(children[1]))
        method = tree.MethodCall(target=target, method=str(children[0]), arguments=arguments, span=span)
        return self._limit(method, target, *_argument_values(arguments))

    def _bound(self, bound: Tree[Token]) -> tree.Expression | None:
        return self.build(bound.children[0]) if bound.children else None

    def _limit(self, built: _Built, *operands: tree.Expression) -> _Built:
        """`built`, unless it is too deep."""
        depth = 1 + max((self._depths.get(id(operand), 0) for operand in operands), default=0)
        if depth > MAX_DEPTH:
            raise BuildError(f"this expression is more than {MAX_DEPTH} levels deep", built.span)
        self._depths[id(built)] = depth
        return built


def _argument_values(arguments: tree.Arguments) -> tuple[tree.Expression, ...]:
    return (*arguments.positional, *(value for _, value in arguments.named))


def _split(children: Sequence[Child], kind: str) -> Iterator[list[Child]]:
    """The stretches between tokens of a kind."""
    stretch: list[Child] = []
    for child in children:
        if isinstance(child, Token) and child.type == kind:
            yield stretch
            stretch = []
        else:
            stretch.append(child)
    yield stretch


def _terms(children: Sequence[Child]) -> Iterator[tuple[str, list[Child]]]:
    """The terms of a sum or product, each with the operator in front of it; a sign behind an operator is a term's."""
    operator, term = "", [children[0]]
    for before, child in pairwise(children):
        is_operator = isinstance(child, Token) and child.type in {"OPERATOR", "SIGN"}
        if is_operator and not (isinstance(before, Token) and before.type in _OPERATORS):
            yield operator, term
            operator, term = str(child), []
        else:
            term.append(child)
    yield operator, term


def _is_not(child: Child) -> bool:
    return isinstance(child, Token) and child.type == "NOT"


def _joined(first: tree.Node, last: tree.Node) -> Span:
    start, end = first.span, last.span
    return Span(start.source, start.line, start.column, end.end_line, end.end_column)


def _integer(text: str) -> int | None:
    return int(text) if len(text) <= _MAX_DIGITS else None


def as_tree(child: Child) -> Tree[Token]:
    """`child`, of which the grammar says that it is a rule.

    Raises:
        TypeError: it is a token: grammar and builder disagree.
    """
    if isinstance(child, Token):
        raise TypeError(f"the grammar gives a rule here, not {child.type}")
    return child


def as_token(child: Child) -> Token:
    """`child`, of which the grammar says that it is a token.

    Raises:
        TypeError: it is a rule: grammar and builder disagree.
    """
    if isinstance(child, Tree):
        raise TypeError(f"the grammar gives a token here, not {child.data}")
    return child


_NAMED = {"named_argument", "simple_named"}

TOKENS: Mapping[str, Callable[[ExpressionBuilder, Token], tree.Expression]] = {
    "NUMBER": ExpressionBuilder.number,
    "STRING": ExpressionBuilder.string,
    "LONG_STRING": ExpressionBuilder.string,
    "CONSTANT": ExpressionBuilder.constant,
    "VARIABLE": ExpressionBuilder.variable,
}

RULES: Mapping[str, Callable[[ExpressionBuilder, Tree[Token]], tree.Expression]] = {
    "conditional": ExpressionBuilder.conditional,
    "logic": ExpressionBuilder.logic,
    "arithmetic": ExpressionBuilder.arithmetic,
    "postfix": ExpressionBuilder.postfix,
    "instruction": ExpressionBuilder.instruction,
    "parenthesis": ExpressionBuilder.parenthesis,
    "call": ExpressionBuilder.call,
    "list": ExpressionBuilder.list_,
    "set": ExpressionBuilder.set_,
    "dict": ExpressionBuilder.dict_,
}
"""Grammar rule to builder; the rules for groups and statements are in the modules beside this one."""

PARTS = {
    "arguments",
    "named_argument",
    "simple_arguments",
    "simple_named",
    "entry",
    "bound",
    "method",
    "attribute",
    "index",
    "slice",
}
"""Rules that are read by the builder of the rule around them."""
