"""From lark trees to statements, flows and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lark import Token, Tree

from colang import tree
from colang.v2.expressions import BuildError, Child, ExpressionBuilder, ParseInside, Place, as_tree
from colang.v2.groups import GroupBuilder
from colang.v2.strings import quote_width, unescape

EXCLUDE = "# meta: exclude from llm"
_NO_EFFECT = "only flows and imports have a meaning outside a flow"
_IMPORT_INSIDE = "an import inside a flow has no effect"


class FileBuilder:
    """Builds the tree of one text, which begins at `place`.

    A method that is named after a grammar rule builds what the rule has found (`RULES`).
    """

    def __init__(self, text: str, place: Place, parse_inside: ParseInside) -> None:
        self._place = place
        self._lines = text.split("\n")
        self._excluded = any(line.startswith(EXCLUDE) for line in self._lines)
        self._expressions = ExpressionBuilder(self._place, parse_inside)
        self._groups = GroupBuilder(self._expressions)
        self._notices = self._expressions.notices

    def file(self, node: Tree[Token]) -> tree.File:
        """The tree of the whole text.

        Raises:
            BuildError: it has something that the grammar lets pass and no program may contain.
        """
        imports: list[tree.Import] = []
        flows: list[tree.Flow] = []
        for child in node.children:
            kind = child.data if isinstance(child, Tree) else child.type
            if isinstance(child, Tree) and kind == "import_":
                imports.append(self._import(child))
            elif isinstance(child, Tree) and kind == "flow":
                flows.append(self._flow(child))
            else:
                self._notices.append(tree.Notice(message=_NO_EFFECT, span=self._place.span(child)))
        notices = tuple(self._notices)
        span = self._place.span(node)
        return tree.File(imports=tuple(imports), flows=tuple(flows), notices=notices, span=span)

    # --- flows ---

    def _import(self, node: Tree[Token]) -> tree.Import:
        path = node.children[0]
        written = str(path) if isinstance(path, Token) else ".".join(str(word) for word in path.children)
        return tree.Import(path=written.strip("'\""), span=self._place.span(node))

    def _flow(self, node: Tree[Token]) -> tree.Flow:
        *decorators, signature, body = _trees(node.children)
        words, *lists = _trees(signature.children)
        named = {
            part.data: tuple(self._parameter(child) for child in _trees(part.children)) for part in lists
        }
        _refuse_twins([*named.get("parameters", ()), *named.get("members", ())])
        return tree.Flow(
            name=self._groups.name(words),
            parameters=named.get("parameters", ()),
            members=named.get("members", ()),
            decorators=tuple(self._decorator(child) for child in decorators),
            body=self._body(body),
            excluded=self._excluded,
            text=self._text(signature, body),
            span=self._place.span(signature),
        )

    def _text(self, signature: Tree[Token], body: Tree[Token]) -> str:
        last = body.meta.end_line if body.children else signature.meta.end_line
        return "\n".join(line.rstrip("\r") for line in self._lines[signature.meta.line - 1 : last])

    def _parameter(self, node: Tree[Token]) -> tree.Parameter:
        variable, *default = node.children
        built = self._expressions.build(default[0]) if default else None
        return tree.Parameter(name=str(variable)[1:], default=built, span=self._place.span(node))

    def _decorator(self, node: Tree[Token]) -> tree.Decorator:
        name, *rest = node.children
        positional: list[tree.Constant] = []
        named: list[tuple[str, tree.Constant]] = []
        for child in rest[0].children if rest and isinstance(rest[0], Tree) else ():
            if isinstance(child, Tree) and child.data == "named_argument":
                named.append((str(child.children[0]), self._constant(child.children[1])))
            else:
                positional.append(self._constant(child))
        return tree.Decorator(
            name=str(name), positional=tuple(positional), named=tuple(named), span=self._place.span(node)
        )

    def _constant(self, child: Child) -> tree.Constant:
        """A decorator's argument. Text is kept with its `{...}` parts: they are for the flow that it decorates."""
        if isinstance(child, Token) and child.type in {"STRING", "LONG_STRING"}:
            return _plain_text(child)
        built = self._expressions.build(child)
        if isinstance(built, tree.Literal):
            return built.value
        if isinstance(built, tree.Unary) and isinstance(built.operand, tree.Literal):
            value = built.operand.value
            if isinstance(value, int | float) and built.operator in {"+", "-"}:
                return -value if built.operator == "-" else value
        raise BuildError("arguments of a decorator are numbers, texts, True, False or None", built.span)

    def _body(self, node: Tree[Token]) -> tuple[tree.Statement, ...]:
        statements: list[tree.Statement] = []
        for child in node.children:
            if isinstance(child, Tree) and child.data == "import_":
                self._notices.append(tree.Notice(message=_IMPORT_INSIDE, span=self._place.span(child)))
            elif isinstance(child, Token):
                statements.append(WORDS[child.type](span=self._place.span(child)))
            else:
                statements.append(RULES[child.data](self, child))
        return tuple(statements)

    # --- statements ---

    def text_statement(self, node: Tree[Token]) -> tree.TextStatement:
        """A text that stands by itself: documentation, or a note to the model."""
        token = node.children[0]
        return tree.TextStatement(text=_plain_text(token), span=self._place.span(node))

    def assignment(self, node: Tree[Token]) -> tree.Assignment:
        """`$x = value` or `$x = await flow`, with any of the assignment operators."""
        target, operator, value = node.children
        is_operation = isinstance(value, Tree) and value.data == "operation"
        built = self.operation(as_tree(value)) if is_operation else self._expressions.build(value)
        span = self._place.span(node)
        return tree.Assignment(target=str(target)[1:], operator=str(operator), value=built, span=span)

    def expression_statement(self, node: Tree[Token]) -> tree.ExpressionStatement:
        """An expression that stands by itself, for its effect."""
        value = self._expressions.build(node.children[0])
        return tree.ExpressionStatement(value=value, span=self._place.span(node))

    def operation(self, node: Tree[Token]) -> tree.Operation:
        """`await`, `start`, `match`, `send` or `activate` a group; without a verb it is awaited."""
        *verb, group = node.children
        named = tree.Verb(str(verb[0])) if verb else tree.Verb.AWAIT
        return tree.Operation(verb=named, group=self._group(group), span=self._place.span(node))

    def return_(self, node: Tree[Token]) -> tree.Return:
        """`return` or `return value`."""
        value = self._expressions.build(node.children[0]) if node.children else None
        return tree.Return(value=value, span=self._place.span(node))

    def label(self, node: Tree[Token]) -> tree.Label:
        """`label name`."""
        return tree.Label(name=str(node.children[0]), span=self._place.span(node))

    def log(self, node: Tree[Token]) -> tree.Log:
        """`log value`."""
        return tree.Log(value=self._expressions.build(node.children[0]), span=self._place.span(node))

    def print_(self, node: Tree[Token]) -> tree.Print:
        """`print value`."""
        return tree.Print(value=self._expressions.build(node.children[0]), span=self._place.span(node))

    def priority(self, node: Tree[Token]) -> tree.Priority:
        """`priority value`."""
        return tree.Priority(value=self._expressions.build(node.children[0]), span=self._place.span(node))

    def global_(self, node: Tree[Token]) -> tree.Global:
        """`global $name`."""
        return tree.Global(name=str(node.children[0])[1:], span=self._place.span(node))

    def expand(self, node: Tree[Token]) -> tree.Expand:
        """`...` as a statement: the model writes what comes here."""
        return tree.Expand(span=self._place.span(node))

    def if_(self, node: Tree[Token]) -> tree.If:
        """`if`, any number of `elif`, and perhaps `else`."""
        *branches, otherwise = self._with_else(node)
        built = tuple(self._branch(branch) for branch in branches if branch)
        return tree.If(branches=built, otherwise=self._otherwise(otherwise), span=self._place.span(node))

    def while_(self, node: Tree[Token]) -> tree.While:
        """`while test`."""
        test, body = node.children
        return tree.While(
            test=self._expressions.build(test), body=self._body(as_tree(body)), span=self._place.span(node)
        )

    def when(self, node: Tree[Token]) -> tree.When:
        """`when`, any number of `or when`, and perhaps `else`."""
        *cases, otherwise = self._with_else(node)
        built = tuple(self._case(case) for case in cases if case)
        return tree.When(cases=built, otherwise=self._otherwise(otherwise), span=self._place.span(node))

    def _branch(self, node: Tree[Token]) -> tree.Branch:
        test, body = node.children
        return tree.Branch(
            test=self._expressions.build(test), body=self._body(as_tree(body)), span=self._place.span(node)
        )

    def _case(self, node: Tree[Token]) -> tree.Case:
        group, body = node.children
        return tree.Case(
            group=self._group(group), body=self._body(as_tree(body)), span=self._place.span(node)
        )

    def _group(self, child: Child) -> tree.Group:
        return self._groups.build(as_tree(child))

    def _with_else(self, node: Tree[Token]) -> list[Tree[Token] | None]:
        """The parts of an `if` or `when`, its `else` (or None) last."""
        parts: list[Tree[Token] | None] = [*_trees(node.children)]
        last = parts[-1]
        return parts if last is not None and last.data == "otherwise" else [*parts, None]

    def _otherwise(self, node: Tree[Token] | None) -> tuple[tree.Statement, ...] | None:
        return None if node is None else self._body(as_tree(node.children[0]))


def _refuse_twins(parameters: Iterable[tree.Parameter]) -> None:
    seen: set[str] = set()
    for parameter in parameters:
        if parameter.name in seen:
            raise BuildError(f"`${parameter.name}` is declared twice", parameter.span)
        seen.add(parameter.name)


def _plain_text(child: Child) -> str:
    width = quote_width(str(child))
    return unescape(str(child)[width:-width])


def _trees(children: Iterable[Child]) -> list[Tree[Token]]:
    return [child for child in children if isinstance(child, Tree)]


RULES: Mapping[str, Callable[[FileBuilder, Tree[Token]], tree.Statement]] = {
    "text_statement": FileBuilder.text_statement,
    "assignment": FileBuilder.assignment,
    "expression_statement": FileBuilder.expression_statement,
    "operation": FileBuilder.operation,
    "return_": FileBuilder.return_,
    "label": FileBuilder.label,
    "log": FileBuilder.log,
    "print_": FileBuilder.print_,
    "priority": FileBuilder.priority,
    "global_": FileBuilder.global_,
    "expand": FileBuilder.expand,
    "if_": FileBuilder.if_,
    "while_": FileBuilder.while_,
    "when": FileBuilder.when,
}
"""Grammar rule to builder."""

WORDS: Mapping[str, type[tree.Abort | tree.Break | tree.Continue | tree.Pass]] = {
    "ABORT": tree.Abort,
    "BREAK": tree.Break,
    "CONTINUE": tree.Continue,
    "PASS": tree.Pass,
}
"""Statements that are a single word."""

PARTS = {
    "file",
    "expression",
    "import_",
    "module",
    "flow",
    "decorator",
    "signature",
    "parameters",
    "members",
    "parameter",
    "body",
    "branch",
    "elif_branch",
    "otherwise",
    "case",
    "or_case",
}
"""Rules that are read by the builder of the rule around them."""
