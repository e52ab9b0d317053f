"""From trees to the elements that the machine runs.

Structured statements become jumps. Two rules are kinder than a literal reading: of several branches that match one intent
a named one goes before `user ...`, and arguments of flows and messages are variables that are set before the call (all
variables belong to the conversation). What `return` gives back travels in the variable `_returned`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from colang import tree as expressions
from colang.errors import ColangLoadError
from colang.expressions import compile_expression
from colang.problems import did_you_mean
from colang.source import Span
from colang.v1 import elements as code
from colang.v1 import tree
from colang.v1.scope import CONFIG

RETURNED = "_returned"
_ARGUMENT = "_argument_{}"

Places: TypeAlias = Mapping["Mark", int]


class Mark:
    """A place in the code that is not known yet."""


def lower_flow(flow: tree.Flow) -> code.FlowCode:
    """The code of a flow.

    Raises:
        ColangLoadError: a `goto` without its label, or a setting of the wrong kind.
    """
    assembler = _Assembler(flow)
    assembler.body(flow.body)
    settings = _settings(flow)
    return code.FlowCode(
        name=flow.name,
        elements=assembler.finish(),
        priority=float(settings.get("priority", 1.0)),
        is_subflow=bool(settings.get("subflow", False)),
        is_extension=bool(settings.get("extension", False)),
        allow_multiple=bool(settings.get("allow_multiple", False)),
        interruptible=bool(settings.get("interruptable", True)),
        text=flow.text,
    )


_MODIFIERS = {
    "subflow": ("subflow", True),
    "extension": ("extension", True),
    "parallel": ("allow_multiple", True),
    "recursive": ("allow_multiple", True),
    "continuous": ("interruptable", False),
    "non-interruptable": ("interruptable", False),
}
_SPELLINGS = {"is_extension": "extension", "interruptible": "interruptable", "is_subflow": "subflow"}


def _settings(flow: tree.Flow) -> dict[str, Any]:
    settings: dict[str, Any] = dict(_MODIFIERS[word] for word in flow.modifiers if word in _MODIFIERS)
    for statement in flow.body:
        if isinstance(statement, tree.Meta):
            settings |= {_SPELLINGS.get(key, key): value for key, value in statement.entries}
            if not isinstance(settings.get("priority", 1), int | float):
                raise ColangLoadError("a priority is a number", statement.span)
    return settings


class _Assembler:
    """Writes elements with marks for targets, and resolves the marks at the end."""

    def __init__(self, flow: tree.Flow) -> None:
        self._flow = flow
        self._code: list[Callable[[Places], code.Element]] = []
        self._places: dict[Mark, int] = {}
        self._labels: dict[str, Mark] = {}
        self._gotos: list[tree.Goto] = []
        self._loops: list[tuple[Mark, Mark]] = []
        self._end = Mark()

    def finish(self) -> tuple[code.Element, ...]:
        """The elements, with every mark resolved.

        Raises:
            ColangLoadError: a `goto` names no label of the flow.
        """
        for goto in self._gotos:
            if self._labels[goto.label] not in self._places:
                known = [name for name, mark in self._labels.items() if mark in self._places]
                hint = did_you_mean(goto.label, known)
                message = f"there is no label `{goto.label}` in flow `{self._flow.name}`"
                raise ColangLoadError(f"{message}; {hint}" if hint else message, goto.span)
        self._mark(self._end)
        return tuple(make(self._places) for make in self._code)

    def body(self, statements: Iterable[tree.Statement]) -> None:
        """Write statements one after another."""
        for statement in statements:
            _WRITERS[type(statement)](self, statement)

    # --- plumbing ---

    def _put(self, element: code.Element) -> None:
        self._code.append(lambda _: element)

    def _jump(self, target: Mark) -> None:
        self._code.append(lambda places: code.Jump(places[target]))

    def _unless(self, test: expressions.Expression, target: Mark) -> None:
        condition = compile_expression(test)
        variable = test.name if isinstance(test, expressions.Variable) and test.name != CONFIG else None
        self._code.append(lambda places: code.JumpUnless(condition, places[target], variable))

    def _mark(self, mark: Mark) -> None:
        self._places[mark] = len(self._code)

    def _set(self, name: str, value: expressions.Expression) -> None:
        self._put(code.SetVariable(name, compile_expression(value)))

    # --- waiting ---

    def user(self, statement: tree.User) -> None:
        """`user A or B`: a wait for each intent, met again behind them."""
        self._first_of([statement])

    def wait_for(self, statement: tree.WaitFor) -> None:
        """`event X(...)`: a wait for the event."""
        self._put(_waiting(statement)[0])

    def any_of(self, statement: tree.AnyOf) -> None:
        """`any`: a branch over its conditions, met again behind them."""
        self._first_of(statement.items)

    def _first_of(self, conditions: Iterable[tree.Condition]) -> None:
        """One waiting element, or a branch over several that meet again behind them."""
        waiting = [element for condition in conditions for element in _waiting(condition)]
        if len(waiting) == 1:
            self._put(waiting[0])
            return
        behind = Mark()
        starts = [(Mark(), element) for element in waiting]
        self._branch(starts)
        for mark, element in starts:
            self._mark(mark)
            self._put(element)
            self._jump(behind)
        self._mark(behind)

    def _branch(self, starts: list[tuple[Mark, code.Element]]) -> None:
        """The machine takes the last branch that matches, so those for anything come first."""
        in_order = sorted(starts, key=lambda start: not _is_for_anything(start[1]))
        self._code.append(lambda places: code.Branch(tuple(places[mark] for mark, _ in in_order)))

    def when(self, statement: tree.When) -> None:
        """`when ... else when ... else`: a branch, behind each condition its body; `else` waits for any other user intent."""
        behind = Mark()
        cases = [(_waiting(case.condition), case.body) for case in statement.cases]
        if statement.otherwise is not None:
            cases.append(([code.WaitUser(None)], statement.otherwise))
        starts = [[(Mark(), element) for element in waiting] for waiting, _ in cases]
        self._branch([start for group in starts for start in group])
        for group, (_, body) in zip(starts, cases, strict=True):
            inside = Mark()
            for mark, element in group:
                self._mark(mark)
                self._put(element)
                if len(group) > 1:
                    self._jump(inside)
            self._mark(inside)
            self.body(body)
            self._jump(behind)
        self._mark(behind)

    # --- acting ---

    def bot(self, statement: tree.Bot) -> None:
        """`bot intent`, its arguments as variables first; `bot ...` waits for whatever the bot says."""
        if statement.intent is None:
            self._put(code.WaitBot())
            return
        for name, value in statement.arguments:
            self._set(name, value)
        self._put(code.Utter(statement.intent, statement.instructions))

    def create(self, statement: tree.Create) -> None:
        """`create event X(...)`: an action, since an event comes from outside of the flows."""
        event = {"_type": statement.type, **self._arguments(statement.properties)}
        self._put(code.RunAction("create_event", {"event": event}))

    def execute(self, statement: tree.Execute) -> None:
        """`$result = execute action(...)`."""
        arguments = self._arguments(statement.arguments)
        self._put(code.RunAction(statement.action, arguments, statement.result))

    def ask(self, statement: tree.Ask) -> None:
        """`$value = ...`: the model is asked for the value, with the comment above as its instructions."""
        arguments = {"instructions": statement.instructions}
        self._put(code.RunAction("generate_value", arguments, statement.target))

    def do(self, statement: tree.Do) -> None:
        """`$a, $b = do flow(...)`: arguments go in as variables, results come out of the variable of what was returned."""
        for name, value in statement.arguments:
            self._set(name.removeprefix("$"), value)
        if statement.results:
            self._set(RETURNED, _none(statement.span))
        self._put(code.CallFlow(statement.flow))
        given = expressions.Variable(name=RETURNED, span=statement.span)
        if len(statement.results) == 1:
            self._set(statement.results[0], given)
        else:
            for index, name in enumerate(statement.results):
                place = expressions.Literal(value=index, span=statement.span)
                self._set(name, expressions.Index(target=given, index=place, span=statement.span))

    def _arguments(self, arguments: tree.Arguments) -> dict[str, Any]:
        """Values as they are; a text `$name` stands for the variable, and anything else is put into one first."""
        values: dict[str, Any] = {}
        for name, value in arguments:
            if _is_plain(value):
                values[name] = _plain(value)
            else:
                variable = _ARGUMENT.format(len(self._code))
                self._set(variable, value)
                values[name] = f"${variable}"
        return values

    # --- sliding ---

    def assign(self, statement: tree.Assign) -> None:
        """`$x = value`; `$x += value` is `$x = $x + value`."""
        value = statement.value
        if statement.operator != "=":
            value = expressions.Binary(
                operator=statement.operator[0],
                left=expressions.Variable(name=statement.target, span=statement.span),
                right=value,
                span=statement.span,
            )
        self._set(statement.target, value)

    def label(self, statement: tree.Label) -> None:
        """`label name`: a mark that `goto` may aim at."""
        self._mark(self._labels.setdefault(statement.name, Mark()))

    def goto(self, statement: tree.Goto) -> None:
        """`goto name`; whether there is such a label is known at the end (`finish`)."""
        self._gotos.append(statement)
        self._jump(self._labels.setdefault(statement.label, Mark()))

    def return_(self, statement: tree.Return) -> None:
        """`return a, b`: one value as it is, several as a list; then the end of the flow."""
        if len(statement.values) == 1:
            self._set(RETURNED, statement.values[0])
        elif statement.values:
            self._set(RETURNED, expressions.ListDisplay(items=statement.values, span=statement.span))
        self._jump(self._end)

    def stop(self, _: tree.Stop) -> None:
        """`stop`: an utterance of its own, which ends the turn."""
        self._put(code.Utter(code.STOP))

    def check(self, statement: tree.Check) -> None:
        """`check test`: on to the end of the flow unless it holds."""
        self._unless(statement.test, self._end)

    def continue_(self, _: tree.Continue) -> None:
        """`continue`: to the test of the innermost loop; outside of loops nothing, as in the peer."""
        if self._loops:
            self._jump(self._loops[-1][0])

    def break_(self, _: tree.Break) -> None:
        """`break`: behind the innermost loop; outside of loops nothing, as in the peer."""
        if self._loops:
            self._jump(self._loops[-1][1])

    def meta(self, _: tree.Meta) -> None:
        """Settings of the flow; they write no code."""

    def if_(self, statement: tree.If) -> None:
        """`if ... else if ... else`: each test jumps over its body to the next."""
        behind = Mark()
        for branch in statement.branches:
            after = Mark()
            self._unless(branch.test, after)
            self.body(branch.body)
            self._jump(behind)
            self._mark(after)
        self.body(statement.otherwise or ())
        self._mark(behind)

    def while_(self, statement: tree.While) -> None:
        """`while test`: the test, the body, and back."""
        again, behind = Mark(), Mark()
        self._mark(again)
        self._unless(statement.test, behind)
        self._loops.append((again, behind))
        self.body(statement.body)
        self._loops.pop()
        self._jump(again)
        self._mark(behind)


def _waiting(condition: tree.Condition) -> list[code.Element]:
    if isinstance(condition, tree.User):
        return [code.WaitUser(intent) for intent in condition.intents]
    if isinstance(condition, tree.Bot):
        return [code.WaitBot() if condition.intent is None else code.Utter(condition.intent)]
    properties = {name: _expected(value) for name, value in condition.properties}
    return [code.WaitEvent(condition.type, properties)]


def _is_for_anything(element: code.Element) -> bool:
    return isinstance(element, code.WaitBot) or (
        isinstance(element, code.WaitUser) and element.intent is None
    )


def _expected(value: expressions.Expression) -> Any:
    if not _is_plain(value):
        raise ColangLoadError("what an event is compared with is a constant or a variable", value.span)
    return _plain(value)


def _is_plain(value: expressions.Expression) -> bool:
    if isinstance(value, expressions.Attribute):
        return _is_plain(value.target) and not isinstance(value.target, expressions.Literal)
    if isinstance(value, expressions.Unary):
        operand = value.operand
        is_number = isinstance(operand, expressions.Literal) and type(operand.value) in {int, float}
        return value.operator == "-" and is_number
    if isinstance(value, expressions.ListDisplay):
        return all(_is_plain(item) for item in value.items)
    if isinstance(value, expressions.DictDisplay):
        return all(_is_plain(part) for item in value.items for part in item)
    return isinstance(value, expressions.Literal | expressions.Variable)


def _plain(value: expressions.Expression) -> Any:
    if isinstance(value, expressions.Literal):
        return value.value
    if isinstance(value, expressions.Variable):
        return f"${value.name}"
    if isinstance(value, expressions.Attribute):
        return f"{_plain(value.target)}.{value.name}"
    if isinstance(value, expressions.Unary):
        return -_plain(value.operand)
    if isinstance(value, expressions.ListDisplay):
        return [_plain(item) for item in value.items]
    if isinstance(value, expressions.DictDisplay):
        return {_plain(key): _plain(item) for key, item in value.items}
    raise TypeError(f"{type(value).__name__} is no plain value")


def _none(span: Span) -> expressions.Literal:
    return expressions.Literal(value=None, span=span)


_WRITERS: Mapping[type[expressions.Node], Callable[[_Assembler, Any], None]] = {
    tree.User: _Assembler.user,
    tree.Bot: _Assembler.bot,
    tree.WaitFor: _Assembler.wait_for,
    tree.AnyOf: _Assembler.any_of,
    tree.Create: _Assembler.create,
    tree.Do: _Assembler.do,
    tree.Execute: _Assembler.execute,
    tree.Assign: _Assembler.assign,
    tree.Ask: _Assembler.ask,
    tree.Label: _Assembler.label,
    tree.Goto: _Assembler.goto,
    tree.Stop: _Assembler.stop,
    tree.Return: _Assembler.return_,
    tree.Continue: _Assembler.continue_,
    tree.Break: _Assembler.break_,
    tree.Check: _Assembler.check,
    tree.Meta: _Assembler.meta,
    tree.If: _Assembler.if_,
    tree.While: _Assembler.while_,
    tree.When: _Assembler.when,
}
