"""The surface tree: what an author wrote, for Colang 2.x.

Each node is a frozen dataclass named after the construct it stands for and carries its span. Nothing here is
executable: `colang.lowering` turns flows into instructions. Spans take no part in equality, so two programs that
differ only in layout have equal trees; that is what makes parse, format, parse a fixpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from colang.source import Span

Constant: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Anything with a place in a source file."""

    span: Span = field(compare=False, repr=False)


# --- expressions -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal(Node):
    """A number, `True`, `False`, `None`, or text without interpolation."""

    value: Constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Node):
    """A string with `{expression}` parts; plain stretches are `str`, already unescaped."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction(Node):
    """`..."text"`: a value that the language model is asked for."""

    text: Literal | Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable(Node):
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListDisplay(Node):
    """`[1, 2]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDisplay(Node):
    """`{1, 2}`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DictDisplay(Node):
    """`{"a": 1}`."""

    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary(Node):
    """`-x`, `+x`, `~x` or `not x`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary(Node):
    """An arithmetic or bitwise operation."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Node):
    """A chain such as `a < b <= c`; `operators` has one entry fewer than `operands`."""

    operators: tuple[str, ...]
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Node):
    """`and` or `or` over two or more operands, evaluated left to right with short circuit."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(Node):
    """`then if test else otherwise`."""

    test: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute(Node):
    """`target.name`."""

    target: Expression
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Index(Node):
    """`target[index]`."""

    target: Expression
    index: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Node):
    """`target[start:stop:step]`."""

    target: Expression
    start: Expression | None
    stop: Expression | None
    step: Expression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Node):
    """A call of a built-in function by name."""

    function: str
    arguments: Arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodCall(Node):
    """`target.name(arguments)`."""

    target: Expression
    method: str
    arguments: Arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments(Node):
    """Positional arguments, then named ones in the order written."""

    positional: tuple[Expression, ...] = ()
    named: tuple[tuple[str, Expression], ...] = ()


Expression: TypeAlias = (
    Literal
    | Text
    | Instruction
    | Variable
    | ListDisplay
    | SetDisplay
    | DictDisplay
    | Unary
    | Binary
    | Comparison
    | Boolean
    | Conditional
    | Attribute
    | Index
    | Slice
    | Call
    | MethodCall
)


# --- specs and groups ------------------------------------------------------------------------------------------


class SpecKind(Enum):
    """What a name at a use site stands for; decided by its letters.

    A flow has small letters alone; `...Action` is an action unless it begins with `Start`, `Stop` or `Change`; any other
    name is an event, and `$name` a reference.
    """

    FLOW = "flow"
    ACTION = "action"
    EVENT = "event"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Node):
    """`.Finished(final_script="x")` behind a spec; `.flow` has no arguments."""

    name: str
    arguments: Arguments | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(Node):
    """A flow, action, event or `$reference`, with arguments, member accesses and an optional `as $reference`."""

    kind: SpecKind
    name: str
    arguments: Arguments
    members: tuple[Member, ...] = ()
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AndGroup(Node):
    """`a and b`: all of them."""

    items: tuple[Group, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrGroup(Node):
    """`a or b`: whichever comes first, or exactly one of them."""

    items: tuple[Group, ...]


Group: TypeAlias = Spec | AndGroup | OrGroup


# --- statements ------------------------------------------------------------------------------------------------


class Verb(Enum):
    """The keyword in front of a group; `await` is implied where none is written."""

    SEND = "send"
    MATCH = "match"
    START = "start"
    AWAIT = "await"
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation(Node):
    """`send Event() or Other()`: a verb applied to a group."""

    verb: Verb
    group: Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment(Node):
    """`$name = value`, `$name += value`; the value is an expression or the result of an operation."""

    target: str
    operator: str
    value: Expression | Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpressionStatement(Node):
    """`(test)` on a line of its own: evaluated for what it does."""

    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Return(Node):
    """`return`, or `return test`."""

    value: Expression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Abort(Node):
    """`abort`: the flow fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break(Node):
    """`break`: the innermost loop ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Node):
    """`continue`: the innermost loop tests again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(Node):
    """`pass`: nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Node):
    """`name:`; only `start_new_flow_instance:` has a meaning."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Log(Node):
    """`log value`: a line for the log."""

    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Print(Node):
    """`print value`: a line for standard output."""

    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority(Node):
    """`priority 0.5`: how this flow counts where flows compete."""

    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Global(Node):
    """`global $name`: the name stands for the variable that all flows share."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expand(Node):
    """A lone `...`: the model writes the rest from the flow's docstring."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStatement(Node):
    """A triple-quoted string alone on its line; the first one of a flow is its docstring."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(Node):
    """One `if`/`elif` test with its body."""

    test: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class If(Node):
    """`if … elif … else`; `otherwise` is None without an `else`."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Statement, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class While(Node):
    """`while test` and its body."""

    test: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Node):
    """One `when`/`or when` condition with its body."""

    group: Group
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class When(Node):
    """`when … or when … else`; `otherwise` is None without an `else`."""

    cases: tuple[Case, ...]
    otherwise: tuple[Statement, ...] | None


Statement: TypeAlias = (
    Operation
    | Assignment
    | ExpressionStatement
    | Return
    | Abort
    | Break
    | Continue
    | Pass
    | Label
    | Log
    | Print
    | Priority
    | Global
    | Expand
    | TextStatement
    | If
    | While
    | When
)


# --- files -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Node):
    """A parameter or out-member of a flow, with its default."""

    name: str
    default: Expression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decorator(Node):
    """`@meta(user_intent=True)`; arguments are literals."""

    name: str
    positional: tuple[Constant, ...] = ()
    named: tuple[tuple[str, Constant], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Node):
    """A flow with its header, decorators and body; `text` is its source as prompts show it."""

    name: str
    parameters: tuple[Parameter, ...]
    members: tuple[Parameter, ...]
    decorators: tuple[Decorator, ...]
    body: tuple[Statement, ...]
    excluded: bool = False
    """True where the file says `# meta: exclude from llm`."""
    text: str = field(default="", compare=False, repr=False)
    """The flow as written, header included: prompts quote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import(Node):
    """`import some.path`."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Node):
    """Something that reads well and has no effect where it stands, such as an import inside a flow."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Node):
    """The imports and flows of one source."""

    imports: tuple[Import, ...]
    flows: tuple[Flow, ...]
    notices: tuple[Notice, ...] = field(default=(), compare=False)
