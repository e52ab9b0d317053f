"""Moves that a program has made before, so that they need not be worked out again.

What a machine of Colang 1.0 does next depends on three things: the flows under way, the kind of the event, and the
answers of the conditions that it comes by. A conversation goes through the same few of these in every turn, so a
program remembers them, as a regular-expression engine builds its automaton while it runs. A `Standing` is a state of
that automaton: the flows under way. Of it, a `Way` leads through the questions to where the machine comes out:

    Standing --kind of event--> Way: assign, ask --answer--> Way: assign --> End: Standing, decision

Assignments and conditions are evaluated every time; matching, sliding, interrupting and resuming are not.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from colang.events import Send
from colang.expressions import Compiled
from colang.v1.elements import SetVariable
from colang.v1.kinds import Kind
from colang.v1.scope import Variables

T = TypeVar("T", bound=Hashable)


KEPT: Final = 20_000
"""Ways that a program remembers; beyond it all are forgotten, and learnt anew."""

LONGEST_PATH: Final = 100
"""Assignments and questions of one move; longer ones, such as of a loop, are not remembered."""

MOST_INSTANCES: Final = 32
"""Flows under way beyond which nothing is remembered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a condition, or the name of a flow to call, turned out to be.

    `variable` is the question's name where it is for a variable and nothing else.
    """

    question: Compiled
    answer: bool | str
    variable: str | None = None


Path: TypeAlias = Sequence[SetVariable | Answer]


@dataclass(frozen=True, slots=True)
class End(Generic[T]):
    """Where a move comes out; without a decision the machine waits."""

    standing: Standing[T]
    decision: Send | None


@dataclass(slots=True)
class Way(Generic[T]):
    """Part of a move: what it assigns, then what it asks or where it ends; neither where that is not known yet.

    `straight` is where it ends if there is nothing else to it.
    """

    assigned: tuple[tuple[str, Compiled], ...] = ()
    question: Compiled | None = None
    variable: str | None = None
    """The variable that is asked for, where the question is no more than that."""
    holds: Way[T] | None = None
    """Where it goes on if the condition that is asked for holds; `fails`: if it does not."""
    fails: Way[T] | None = None
    named: dict[str, Way[T]] | None = None
    """Where it goes on by the name of the flow that is asked for, if it is a name that is asked for."""
    end: End[T] | None = None
    straight: End[T] | None = None


@dataclass(slots=True, eq=False)
class Standing(Generic[T]):
    """The flows under way, and what was learnt of them; `owner` is who learnt it."""

    instances: tuple[T, ...] = ()
    owner: Moves[T] | None = None
    ways: dict[Kind, Way[T]] = field(default_factory=dict)


class Moves(Generic[T]):
    """What one program has learnt. Safe to share: whoever meets a way that is still being written goes without."""

    def __init__(self) -> None:
        self._standings: dict[tuple[T, ...], Standing[T]] = {}
        self._ways = 0

    @property
    def size(self) -> int:
        """How many ways were learnt since all were forgotten last."""
        return self._ways

    def standing(self, instances: tuple[T, ...]) -> Standing[T]:
        """The one standing of these instances."""
        known = self._standings.get(instances)
        if known is not None:
            return known
        if len(instances) > MOST_INSTANCES:
            return Standing(instances, self)
        return self._standings.setdefault(instances, Standing(instances, self))

    def learn(self, standing: Standing[T], kind: Kind, path: Path, end: End[T]) -> None:
        """Remember where an event of this kind led, by way of `path`."""
        if len(path) > LONGEST_PATH or len(standing.instances) > MOST_INSTANCES:
            return
        self._ways += len(path) + 1
        if self._ways > KEPT:
            self._standings.clear()
            self._ways = 0
        way: Way[T] = standing.ways.setdefault(kind, Way())
        assigned: list[tuple[str, Compiled]] = []
        for part in path:
            if isinstance(part, SetVariable):
                assigned.append((part.name, part.value))
                continue
            way.assigned = tuple(assigned)
            following = _following(way, part.answer)
            way.variable, way.question = part.variable, part.question
            way = following
            assigned.clear()
        way.assigned, way.end = tuple(assigned), end
        way.straight = None if path else end


def _following(way: Way[T], answer: bool | str) -> Way[T]:
    """The way from here with this answer, a new one where there was none."""
    if isinstance(answer, str):
        way.named = {} if way.named is None else way.named
        return way.named.setdefault(answer, Way())
    if answer:
        way.holds = way.holds or Way()
        return way.holds
    way.fails = way.fails or Way()
    return way.fails


class Values(Protocol):
    """What a move may assign to."""

    variables: dict[str, Any]
    pending: dict[str, Any]


def recall(begun: Way[T], values: Values, config: Any) -> End[T] | None:
    """Make the move again: where it ends, or None, with nothing changed, where that is not known.

    `config` is what `$config` shows.

    Raises:
        ColangRuntimeError: an expression failed; the variables are then of no use.
    """
    way: Way[T] | None = begun
    variables, before = values.variables, None
    scope: Variables | None = None
    while way is not None:
        if way.assigned:
            before = before or (variables.copy(), values.pending.copy())
            scope = scope or Variables(variables, config, values.pending)
            for name, value in way.assigned:
                variables[name] = values.pending[name] = value(scope)
        if way.variable is not None:
            answer: Any = variables.get(way.variable)
        elif way.question is not None:
            scope = scope or Variables(variables, config, values.pending)
            answer = way.question(scope)
        elif way.end is not None:
            return way.end
        else:
            break
        way = (way.holds if answer else way.fails) if way.named is None else way.named.get(answer)
    if before is not None:
        variables.clear()
        variables.update(before[0])
        values.pending = before[1]
    return None
