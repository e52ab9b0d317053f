"""What most likely is not meant in a Colang 1.0 program, seen without running it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from colang.errors import ColangLoadError, ColangSyntaxError
from colang.expressions import FUNCTIONS
from colang.problems import Problem, Severity, did_you_mean
from colang.source import Source, Span
from colang.tree import Call, Node
from colang.v1 import tree
from colang.v1.lowering import lower_flow
from colang.v1.parser import parse_all
from colang.walk import bodies, walk

_ENDING = (tree.Return, tree.Stop, tree.Goto, tree.Break, tree.Continue)


def check(
    sources: Iterable[Source],
    known_flows: Collection[str] = (),
    known_messages: Collection[str] | None = None,
) -> tuple[Problem, ...]:
    """What is wrong with the files of a program, errors first.

    `known_flows` and `known_messages` are those that it gets from elsewhere; `known_messages` is None where a model
    writes the bot messages that nobody has defined.
    """
    files: list[tree.File] = []
    found: list[Problem] = []
    for source in sources:
        file, errors = parse_all(source)
        files.append(file)
        found.extend(_as_problem(error) for error in errors)
    flows = {flow.name: flow for file in files for flow in file.flows}
    for flow in flows.values():
        try:
            lower_flow(flow)
        except ColangLoadError as error:
            found.append(_as_problem(error))
    intents = {message.name for file in files for message in file.user_messages}
    for flow in flows.values():
        found.extend(_Checker({*flows, *known_flows}, intents).flow(flow))
    if known_messages is not None:
        found.extend(_unwritten(files, known_messages))
    found.extend(_twice(files))
    found.extend(
        _warning(f"no user message is called `{name}`", message.span, "examples stand in double quotes")
        for file in files
        for message in file.user_messages
        for name in message.references
        if name not in intents
    )
    found.extend(
        _warning("a statement below `define bot` does nothing", stray, "define a flow that runs it")
        for file in files
        for message in file.bot_messages
        for stray in message.strays
    )
    return tuple(found)


def _as_problem(error: ColangLoadError | ColangSyntaxError) -> Problem:
    return Problem(Severity.ERROR, error.message, error.span)


def _warning(message: str, span: Span, hint: str | None = None) -> Problem:
    return Problem(Severity.WARNING, message, span, hint)


def _twice(files: Iterable[tree.File]) -> Iterator[Problem]:
    """Messages that are defined twice: the later definition has no effect."""
    seen: dict[str, Span] = {}
    for file in files:
        named: list[tuple[str, Span]] = [
            (f"bot {message.name}", message.span) for message in file.bot_messages
        ]
        named += [(f"user {message.name}", message.span) for message in file.user_messages]
        for name, span in named:
            first = seen.setdefault(name, span)
            if first is not span:
                yield _warning(
                    f"`define {name}` has no effect: the first definition counts, at {first}", span
                )


def _unwritten(files: Iterable[tree.File], known: Collection[str]) -> Iterator[Problem]:
    """Bot messages that flows say and nobody has written."""
    given = list(files)
    said = [
        node for file in given for flow in file.flows for node in walk(flow) if isinstance(node, tree.Bot)
    ]
    named = {message.name for file in given for message in file.bot_messages}
    written = {*known, *named, *(node.intent for node in said if node.intent and node.texts)}
    for node in said:
        if node.intent is not None and not node.intent.startswith("$") and node.intent not in written:
            hint = did_you_mean(node.intent, written) or f"write `define bot {node.intent}` with a text"
            yield _warning(
                f"no bot message is called `{node.intent}`, and there is no model to write one",
                node.span,
                hint,
            )


class _Checker:
    def __init__(self, flows: Collection[str], intents: Collection[str]) -> None:
        self._flows = flows
        self._intents = intents

    def flow(self, flow: tree.Flow) -> Iterator[Problem]:
        """What is odd in a flow: names that nothing stands for, waits that never end, statements at odds."""
        yield from self._body(flow.body, in_loop=False)
        for node in walk(flow):
            if isinstance(node, tree.Do) and not node.flow.startswith("$") and node.flow not in self._flows:
                yield _warning(
                    f"there is no flow `{node.flow}`", node.span, did_you_mean(node.flow, self._flows)
                )
            elif isinstance(node, tree.WaitFor) and node.type in tree.NEVER:
                yield _warning(
                    f"`when {node.type}` never happens", node.span, "wait for `user`, `bot` or `event`"
                )
            elif isinstance(node, tree.User) and self._intents:
                yield from self._user(node)
            elif isinstance(node, Call) and node.function not in FUNCTIONS:
                hint = (
                    did_you_mean(node.function, FUNCTIONS)
                    or f"an action is run by `execute {node.function}(...)`"
                )
                yield _warning(f"there is no function `{node.function}`", node.span, hint)

    def _user(self, node: tree.User) -> Iterator[Problem]:
        for intent in node.intents:
            if intent is not None and intent not in self._intents:
                hint = did_you_mean(intent, self._intents) or f"write `define user {intent}` with examples"
                yield _warning(f"no user message is called `{intent}`", node.span, hint)

    def _body(self, body: Sequence[Node], *, in_loop: bool) -> Iterator[Problem]:
        for index, statement in enumerate(body):
            if isinstance(statement, tree.Break) and not in_loop:
                yield _warning("`break` outside a loop does nothing", statement.span)
            after = body[index + 1] if index + 1 < len(body) else None
            leaves = isinstance(statement, _ENDING) and (
                in_loop or not isinstance(statement, tree.Break | tree.Continue)
            )
            if leaves and after is not None and not isinstance(after, tree.Label | tree.Meta):
                yield _warning("this is never reached", after.span)
            for inner, loops in bodies(statement):
                yield from self._body(inner, in_loop=in_loop or loops)
