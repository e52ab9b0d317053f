"""The surface tree of Colang 1.0, whether it was written in Colang or in YAML.

Expressions are those of `colang.tree`. An argument that stands for a variable is an expression like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from colang.source import Span
from colang.tree import Constant, Expression, Node

NEVER = frozenset({"flow", "no", "any"})
"""Words behind `when` that name nothing that ever happens."""

Arguments: TypeAlias = tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Node):
    """`user a or user b`: one of these intents; None stands for any."""

    intents: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot(Node):
    """`bot NAME "text"`; the name is None for `bot ...`, and `$name` for a variable. Texts define the message in place."""

    intent: str | None
    texts: tuple[str, ...] = ()
    arguments: Arguments = ()
    instructions: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFor(Node):
    """`event TYPE(p=v)`."""

    type: str
    properties: Arguments = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf(Node):
    """An `any` block: the first of these."""

    items: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(Node):
    """`create event TYPE(p=v)`."""

    type: str
    properties: Arguments = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Do(Node):
    """`$a, $b = do FLOW(p=v)`; the flow may be a `$variable`."""

    flow: str
    arguments: Arguments = ()
    results: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute(Node):
    """`$result = execute ACTION(p=v)`."""

    action: str
    arguments: Arguments = ()
    result: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign(Node):
    """`$x = value`, `$x += value`, `$x -= value`."""

    target: str
    operator: str
    value: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Node):
    """`$x = ...`: the model is asked, with the comment above as its instruction."""

    target: str
    instructions: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Node):
    """`label NAME`: where a `goto` may go."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Goto(Node):
    """`goto NAME`: go on at that label of the same flow."""

    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Node):
    """`stop`: the turn ends, and no flow is under way any longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Return(Node):
    """`return a, b`: the flow ends; the values are for `$a, $b = do ...`."""

    values: tuple[Expression, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue(Node):
    """`continue`: the innermost loop tests again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break(Node):
    """`break`: the innermost loop ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Node):
    """`check EXPR`: the flow goes on only if it holds."""

    test: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta(Node):
    """`priority 2`, `meta {"key": value}` and its lines."""

    entries: tuple[tuple[str, Constant], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(Node):
    """One `if` or `else if` test with its body."""

    test: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class If(Node):
    """`if ... else if ... else`; `otherwise` is None without an `else`."""

    branches: tuple[Branch, ...]
    otherwise: tuple[Statement, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class While(Node):
    """`while test` and its body."""

    test: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Node):
    """One `when` or `else when` with its body."""

    condition: Condition
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class When(Node):
    """`when ... else when ... else`; an `else` waits for any other intent of the user."""

    cases: tuple[Case, ...]
    otherwise: tuple[Statement, ...] | None = None


Condition: TypeAlias = User | Bot | WaitFor
Statement: TypeAlias = (
    User
    | Bot
    | WaitFor
    | AnyOf
    | Create
    | Do
    | Execute
    | Assign
    | Ask
    | Label
    | Goto
    | Stop
    | Return
    | Continue
    | Break
    | Check
    | Meta
    | If
    | While
    | When
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserMessage(Node):
    """`define user NAME`: examples, other intents whose examples count too, and an intent of the bot that answers."""

    name: str
    examples: tuple[str, ...]
    references: tuple[str, ...] = ()
    answers: tuple[Bot, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BotMessage(Node):
    """`define bot NAME`: the texts to choose from, as written, and where statements stand among them, which nobody runs."""

    name: str
    texts: tuple[str, ...]
    strays: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow(Node):
    """`define MODIFIERS flow NAME`; an unnamed flow is named after its body."""

    name: str
    modifiers: frozenset[str]
    body: tuple[Statement, ...]
    text: str = field(default="", compare=False, repr=False)
    """The body as written, without the indentation that it has as a whole: prompts quote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Node):
    """What one source defines; of twins within it the builder has refused the flows."""

    user_messages: tuple[UserMessage, ...]
    bot_messages: tuple[BotMessage, ...]
    flows: tuple[Flow, ...]
    imports: tuple[str, ...] = ()
