"""Random trees of Colang 2.x: everything that the formatter can write and the parser must read back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from colang import tree
from colang.format import format_expression
from colang.source import Span

AT = Span("made", 1, 1, 1, 1)

WORDS = st.sampled_from(
    [
        "user",
        "said",
        "x",
        "is",
        "in",
        "not",
        "if",
        "else",
        "when",
        "return",
        "log",
        "as",
        "été",
        "_go",
        "b2",
        "flow",
    ]
)
NAMES = st.sampled_from(["a", "b", "name", "x_1", "ünit", "flow", "as", "start"])
FLOW_NAMES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
EVENTS = st.sampled_from(["Go", "UserDone", "FooAction", "StartFooAction", "Ünit"])
TEXT = st.text(st.sampled_from(list("ab {}'\"\\\n\t#$([é☃\x00")), max_size=6) | st.text(max_size=4)
FUNCTIONS = st.sampled_from(["len", "regex", "uid", "not_equal_to"])
MEMBERS = st.sampled_from(["Finished", "Started", "flow", "Stop"])


def node(kind: Any, /, **parts: Any) -> Any:
    """A strategy for nodes of `kind`."""
    return st.builds(kind, span=st.just(AT), **parts)


NUMBERS = st.integers(0, 10**18) | st.floats(min_value=0, allow_nan=False)
LITERALS = node(tree.Literal, value=NUMBERS | st.sampled_from([True, False, None]) | TEXT)
VARIABLES = node(tree.Variable, name=NAMES)


def texts(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Strings with at least one part; plain stretches next to each other would be one."""
    pieces = st.lists(st.tuples(TEXT, parts), min_size=1, max_size=2)
    return st.tuples(pieces, TEXT).map(_text)


def _text(drawn: tuple[list[tuple[str, Any]], str]) -> tree.Text:
    pieces, end = drawn
    flat = [item for pair in pieces for item in pair] + [end]
    return tree.Text(parts=tuple(item for item in flat if item != ""), span=AT)


def arguments(values: st.SearchStrategy[Any], most: int = 2) -> st.SearchStrategy[Any]:
    named = st.dictionaries(NAMES, values, max_size=most).map(lambda pairs: tuple(pairs.items()))
    return node(tree.Arguments, positional=st.lists(values, max_size=most).map(tuple), named=named)


def composites(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Expressions one level deeper than `inner`."""
    several = st.lists(inner, max_size=3).map(tuple)
    operators = st.lists(st.sampled_from(["==", "<", "not in", "is", "is not"]), min_size=1, max_size=2)
    chain = operators.flatmap(
        lambda signs: node(
            tree.Comparison,
            operators=st.just(tuple(signs)),
            operands=st.lists(inner, min_size=len(signs) + 1, max_size=len(signs) + 1).map(tuple),
        )
    )
    bound = st.none() | inner
    return st.one_of(
        node(tree.ListDisplay, items=several),
        node(tree.SetDisplay, items=several.filter(bool)),
        node(tree.DictDisplay, items=st.lists(st.tuples(inner, inner), max_size=2).map(tuple)),
        node(tree.Unary, operator=st.sampled_from(["-", "+", "~", "not"]), operand=inner),
        node(
            tree.Binary,
            operator=st.sampled_from(["|", "^", "&", "<<", ">>", "+", "-", "*", "/", "//", "%", "**"]),
            left=inner,
            right=inner,
        ),
        chain,
        node(
            tree.Boolean,
            operator=st.sampled_from(["and", "or"]),
            operands=st.lists(inner, min_size=2, max_size=3).map(tuple),
        ),
        node(tree.Conditional, test=inner, then=inner, otherwise=inner),
        node(tree.Attribute, target=inner, name=NAMES),
        node(tree.Index, target=inner, index=inner),
        node(tree.Slice, target=inner, start=bound, stop=bound, step=bound),
        node(tree.Call, function=FUNCTIONS, arguments=arguments(inner)),
        node(tree.MethodCall, target=inner, method=NAMES, arguments=arguments(inner)),
        node(tree.Instruction, text=node(tree.Literal, value=TEXT)),
    )


PLAIN = st.recursive(LITERALS | VARIABLES, composites, max_leaves=6)
WITH_PARTS = PLAIN | texts(PLAIN)
EXPRESSIONS = st.recursive(WITH_PARTS, composites, max_leaves=5) | texts(WITH_PARTS)


def _spec(kind: tree.SpecKind, names: st.SearchStrategy[str], arguments_: st.SearchStrategy[Any]) -> Any:
    members = node(tree.Member, name=MEMBERS, arguments=st.none() | arguments(WITH_PARTS, 1))
    return node(
        tree.Spec,
        kind=st.just(kind),
        name=names,
        arguments=arguments_,
        members=st.lists(members, max_size=2).map(tuple),
        reference=st.none() | NAMES,
    )


def _kind(spec: tree.Spec) -> tree.Spec:
    is_action = spec.name.endswith("Action") and not spec.name.startswith("Start")
    return replace(spec, kind=tree.SpecKind.ACTION if is_action else tree.SpecKind.EVENT)


SPECS = st.one_of(
    _spec(tree.SpecKind.FLOW, FLOW_NAMES, arguments(WITH_PARTS)),
    _spec(tree.SpecKind.EVENT, EVENTS, arguments(WITH_PARTS)).map(_kind),
    _spec(tree.SpecKind.REFERENCE, NAMES, node(tree.Arguments)),
)


def _groups(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return node(tree.AndGroup, items=items) | node(tree.OrGroup, items=items)


GROUPS = st.recursive(SPECS, _groups, max_leaves=4)
OPERATIONS = node(tree.Operation, verb=st.sampled_from(tree.Verb), group=GROUPS)


def _stands_alone(value: tree.Expression) -> bool:
    """Whether it is a statement in parentheses: a name behind them would open a group of flows."""
    first = format_expression(value).lstrip("(")[:1]
    return not (first.isalpha() or first == "_")


SIMPLE = st.one_of(
    OPERATIONS,
    node(
        tree.Assignment,
        target=NAMES,
        operator=st.sampled_from(["=", "+=", "-="]),
        value=EXPRESSIONS | OPERATIONS,
    ),
    node(tree.ExpressionStatement, value=EXPRESSIONS.filter(_stands_alone)),
    node(tree.Return, value=st.none() | EXPRESSIONS),
    node(tree.Log, value=EXPRESSIONS),
    node(tree.Print, value=EXPRESSIONS),
    node(tree.Priority, value=EXPRESSIONS),
    node(tree.Label, name=NAMES.filter(lambda name: name not in {"flow", "start"})),
    node(tree.Global, name=NAMES),
    node(tree.TextStatement, text=TEXT),
    st.sampled_from(
        [kind(span=AT) for kind in (tree.Abort, tree.Break, tree.Continue, tree.Pass, tree.Expand)]
    ),
)


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    body = st.lists(inner, max_size=2).map(tuple)
    branch = node(tree.Branch, test=EXPRESSIONS, body=body)
    case = node(tree.Case, group=GROUPS, body=body)
    otherwise = st.none() | body
    return st.one_of(
        node(tree.While, test=EXPRESSIONS, body=body),
        node(tree.If, branches=st.lists(branch, min_size=1, max_size=2).map(tuple), otherwise=otherwise),
        node(tree.When, cases=st.lists(case, min_size=1, max_size=2).map(tuple), otherwise=otherwise),
    )


STATEMENTS = st.recursive(SIMPLE, _compound, max_leaves=4)

_CONSTANTS = (
    TEXT | st.booleans() | st.none() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
)
_DECORATORS = node(
    tree.Decorator,
    name=st.sampled_from(["meta", "loop", "active", "override"]),
    positional=st.lists(_CONSTANTS, max_size=1).map(tuple),
    named=st.dictionaries(NAMES, _CONSTANTS, max_size=1).map(lambda pairs: tuple(pairs.items())),
)


def _flow(drawn: tuple[str, list[tuple[str, Any]], int, list[Any], list[Any]]) -> tree.Flow:
    name, declared, split, decorators, body = drawn
    parameters = tuple(tree.Parameter(name=name, default=default, span=AT) for name, default in declared)
    return tree.Flow(
        name=name,
        parameters=parameters[:split],
        members=parameters[split:],
        decorators=tuple(decorators),
        body=tuple(body),
        span=AT,
    )


FLOWS = st.tuples(
    FLOW_NAMES,
    st.dictionaries(NAMES, st.none() | EXPRESSIONS, max_size=3).map(lambda pairs: list(pairs.items())),
    st.integers(0, 3),
    st.lists(_DECORATORS, max_size=2),
    st.lists(STATEMENTS, max_size=3),
).map(_flow)

_PATHS = st.sampled_from(["core", "a.b.c", "some/path.co", "with blank"])
FILES = node(
    tree.File,
    imports=st.lists(node(tree.Import, path=_PATHS), max_size=2).map(tuple),
    flows=st.lists(FLOWS, max_size=2).map(tuple),
)
