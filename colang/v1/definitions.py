"""What files of Colang 1.0 define together: messages of the user and the bot, and flows ready to run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from colang.source import Source
from colang.v1 import tree
from colang.v1.elements import FlowCode
from colang.v1.lowering import lower_flow
from colang.v1.parser import parse, parse_body

_SLOT = re.compile(r"\[[^\]\n]*\]\((\w+)\)|\$([^\W\d]\w*)")


@dataclass(frozen=True, slots=True)
class Definitions:
    """Messages by intent, and flows in the order in which they decide."""

    flows: tuple[FlowCode, ...]
    user_messages: Mapping[str, tuple[str, ...]]
    bot_messages: Mapping[str, tuple[str, ...]]


def definitions_of(sources: Iterable[Source]) -> Definitions:
    """What `sources` define: of messages of one name the first counts, of flows of one name the last.

    Raises:
        ColangSyntaxError: a file cannot be read.
        ColangLoadError: a flow cannot be lowered.
    """
    return merge(parse(source) for source in sources)


def merge(files: Iterable[tree.File]) -> Definitions:
    """The definitions of `files`, in order."""
    flows: dict[str, tree.Flow] = {}
    users: dict[str, tree.UserMessage] = {}
    bots: dict[str, tuple[str, ...]] = {}
    for file in files:
        flows |= {flow.name: flow for flow in file.flows}
        for message in file.user_messages:
            users.setdefault(message.name, message)
        for answer in file.bot_messages:
            bots.setdefault(answer.name, answer.texts)
    for flow in flows.values():
        _add_inline(flow.body, bots)
    examples = {name: tuple(_examples(message, users, set())) for name, message in users.items()}
    return Definitions(tuple(lower_flow(flow) for flow in flows.values()), examples, bots)


def flow_of_body(name: str, text: str) -> FlowCode:
    """A flow from the statements of its body, such as a model writes them.

    Raises:
        ColangSyntaxError: the text is no body of a flow.
        ColangLoadError: the flow cannot be lowered.
    """
    source = Source(f"flow {name}", text)
    body = parse_body(source)
    return lower_flow(tree.Flow(name=name, modifiers=frozenset(), body=body, text=text, span=body[0].span))


def inline_messages(body: Iterable[tree.Statement]) -> Iterator[tree.Bot]:
    """The messages that a flow defines where it says them."""
    for statement in body:
        if isinstance(statement, tree.Bot) and statement.texts and statement.intent is not None:
            yield statement
        elif isinstance(statement, tree.If):
            for branch in statement.branches:
                yield from inline_messages(branch.body)
            yield from inline_messages(statement.otherwise or ())
        elif isinstance(statement, tree.While):
            yield from inline_messages(statement.body)
        elif isinstance(statement, tree.When):
            for case in statement.cases:
                yield from inline_messages(case.body)
            yield from inline_messages(statement.otherwise or ())


def _add_inline(body: Iterable[tree.Statement], bots: dict[str, tuple[str, ...]]) -> None:
    for statement in inline_messages(body):
        bots.setdefault(str(statement.intent), statement.texts)


def _examples(
    message: tree.UserMessage, users: Mapping[str, tree.UserMessage], seen: set[str]
) -> Iterator[str]:
    """The examples of an intent, `{name}` in place of their slots, and those of the intents that it names."""
    seen.add(message.name)
    yield from (_SLOT.sub(r"{\1\2}", example) for example in message.examples)
    for name in message.references:
        if name in users and name not in seen:
            yield from _examples(users[name], users, seen)
