"""From trees to a flow table, and to a list of what most likely is not meant.

All files share one table. Of two flows with one name exactly one must be decorated `@override`, and it wins; anything
else is an error. Then every flow is looked through for what can be seen without running it: names of flows and
functions that nobody defined, arguments that do not fit, `break` outside a loop, statements behind a `return`. These are
warnings, since a program may create flows while it runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from colang import tree
from colang.errors import ColangFlowError, ColangLoadError
from colang.problems import Problem, Severity, did_you_mean
from colang.source import Span
from colang.walk import bodies, walk

_STARTING = {tree.Verb.START, tree.Verb.AWAIT, tree.Verb.ACTIVATE, tree.Verb.DEACTIVATE}
_ENDING = (tree.Return, tree.Abort, tree.Break, tree.Continue)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The flows of a program by name, in definition order, and what is wrong with it."""

    flows: Mapping[str, tree.Flow]
    errors: tuple[ColangLoadError, ...]
    warnings: tuple[Problem, ...]


def resolve(files: Sequence[tree.File], functions: Collection[str], authored: Collection[str]) -> Resolution:
    """The flow table of `files`; `functions` are the names that may be called in expressions.

    Only the files named in `authored` are looked through for warnings: others are not the author's.
    """
    flows, errors = flow_table(files)
    notices = [_warning(notice.message, notice.span) for file in files for notice in file.notices]
    own = [flow for flow in flows.values() if flow.span.source in authored]
    found = [problem for flow in own for problem in _Checker(flow, flows, functions).check()]
    warnings = [problem for problem in (*notices, *found) if _is_in(problem, authored)]
    return Resolution(flows, tuple(errors), tuple(warnings))


def _is_in(problem: Problem, files: Collection[str]) -> bool:
    return problem.span is None or problem.span.source in files


def flow_table(files: Iterable[tree.File]) -> tuple[dict[str, tree.Flow], list[ColangLoadError]]:
    """The flow that each name stands for, and an error for each name where that cannot be said."""
    plain: dict[str, tree.Flow] = {}
    overrides: dict[str, tree.Flow] = {}
    errors: list[ColangLoadError] = []
    for flow in (flow for file in files for flow in file.flows):
        table = overrides if is_override(flow) else plain
        first = table.setdefault(flow.name, flow)
        if first is not flow:
            errors.append(_twice(flow, first))
    for name, flow in overrides.items():
        if name not in plain:
            hint = did_you_mean(name, plain)
            message = f"flow `{name}` overrides nothing: there is no other flow of this name"
            errors.append(ColangFlowError(f"{message}; {hint}" if hint else message, flow.span))
    return plain | overrides, errors


def is_override(flow: tree.Flow) -> bool:
    """True for a flow that takes the place of another one of its name."""
    return any(decorator.name == "override" for decorator in flow.decorators)


def _twice(flow: tree.Flow, first: tree.Flow) -> ColangFlowError:
    what = "overridden" if is_override(flow) else "defined"
    hint = "" if is_override(flow) else "; to replace it, decorate the new one with `@override`"
    return ColangFlowError(f"flow `{flow.name}` is {what} twice, first at {first.span}{hint}", flow.span)


def _warning(message: str, span: Span, hint: str | None = None) -> Problem:
    return Problem(Severity.WARNING, message, span, hint)


class _Checker:
    """Looks through one flow."""

    def __init__(self, flow: tree.Flow, flows: Mapping[str, tree.Flow], functions: Collection[str]) -> None:
        self._flow = flow
        self._flows = flows
        self._functions = functions

    def check(self) -> Iterator[Problem]:
        """Everything about the flow that is certain or likely to go wrong when it runs."""
        yield from self._decorators()
        yield from self._body(self._flow.body, in_loop=False)
        for node in walk(self._flow):
            if isinstance(node, tree.Call):
                yield from self._call(node)
            elif isinstance(node, tree.Attribute) and node.name.startswith("_"):
                yield _warning(f"`.{node.name}` cannot be read: it starts with `_`", node.span)
            elif isinstance(node, tree.Operation):
                yield from self._operation(node)
            elif isinstance(node, tree.Case):
                yield from self._specs(node.group, tree.Verb.AWAIT)

    # --- structure ---

    def _decorators(self) -> Iterator[Problem]:
        for decorator in self._flow.decorators:
            if decorator.name == "loop" and not decorator.positional and "id" not in dict(decorator.named):
                message = "`@loop` without a name changes nothing: the flow runs in the loop of its parent"
                yield _warning(message, decorator.span, 'write `@loop("name")`')

    def _body(self, body: Sequence[tree.Node], *, in_loop: bool) -> Iterator[Problem]:
        for index, statement in enumerate(body):
            if isinstance(statement, tree.Break | tree.Continue) and not in_loop:
                word = type(statement).__name__.lower()
                yield _warning(f"`{word}` outside a loop does nothing", statement.span)
            if isinstance(statement, _ENDING) and index + 1 < len(body):
                after = body[index + 1]
                if in_loop or not isinstance(statement, tree.Break | tree.Continue):
                    yield _warning("this is never reached", after.span)
            for inner, loops in bodies(statement):
                yield from self._body(inner, in_loop=in_loop or loops)

    # --- names ---

    def _call(self, call: tree.Call) -> Iterator[Problem]:
        name = call.function
        if name in self._functions:
            return
        if name in self._flows:
            hint: str | None = f"to run the flow, write `await {name}(...)`"
        elif name.endswith("Action"):
            hint = f"to run the action, write `await {name}(...)`"
        else:
            hint = did_you_mean(name, self._functions)
        yield _warning(f"there is no function `{name}`", call.span, hint)

    def _operation(self, operation: tree.Operation) -> Iterator[Problem]:
        yield from self._specs(operation.group, operation.verb)

    def _specs(self, group: tree.Group, verb: tree.Verb) -> Iterator[Problem]:
        for node in walk(group):
            if isinstance(node, tree.Spec) and node.kind is tree.SpecKind.FLOW:
                yield from self._flow_use(node, verb)

    def _flow_use(self, spec: tree.Spec, verb: tree.Verb) -> Iterator[Problem]:
        flow = self._flows.get(spec.name)
        if flow is None:
            hint = did_you_mean(spec.name, self._flows)
            yield _warning(f"there is no flow `{spec.name}`", spec.span, hint)
        elif verb in _STARTING or spec.members:
            yield from _arguments(spec, flow)


def _arguments(spec: tree.Spec, flow: tree.Flow) -> Iterator[Problem]:
    names = [parameter.name for parameter in flow.parameters]
    given = len(spec.arguments.positional)
    if given > len(names):
        count = f"{len(names)} argument{'' if len(names) == 1 else 's'}"
        hint = f"it is defined at {flow.span}"
        yield _warning(f"flow `{flow.name}` takes {count}, not {given}", spec.span, hint)
    for name, value in spec.arguments.named:
        if name not in names:
            hint_name = did_you_mean(name, names)
            yield _warning(f"flow `{flow.name}` has no parameter `${name}`", value.span, hint_name)
