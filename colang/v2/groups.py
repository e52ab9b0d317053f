"""From lark trees to specs and groups: what `send`, `match`, `await` and `when` apply to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from lark import Token, Tree

from colang import tree
from colang.v2.expressions import BuildError, Child, ExpressionBuilder, as_tree

_VERBS = frozenset(verb.value for verb in tree.Verb)


class GroupBuilder:
    """Builds the groups of one text; a method that is named after a grammar rule builds what the rule has found."""

    def __init__(self, expressions: ExpressionBuilder) -> None:
        self._expressions = expressions
        self._place = expressions.place

    def build(self, node: Tree[Token]) -> tree.Group:
        """The spec, or the group of specs, that a node of the grammar stands for.

        Raises:
            BuildError: a name or a member cannot be written so.
        """
        return RULES[node.data](self, node)

    def name(self, words: Tree[Token]) -> str:
        """A name: its words with one blank between them."""
        first = str(words.children[0])
        if first in _VERBS:
            raise BuildError(f"a name cannot begin with `{first}`", self._place.span(words))
        return " ".join(str(word) for word in words.children)

    def and_group(self, node: Tree[Token]) -> tree.AndGroup:
        """`a and b`: done when all are."""
        items = tuple(self.build(child) for child in _trees(node.children))
        return tree.AndGroup(items=items, span=self._place.span(node))

    def or_group(self, node: Tree[Token]) -> tree.OrGroup:
        """`a or b`: done when one is."""
        items = tuple(self.build(child) for child in _trees(node.children))
        return tree.OrGroup(items=items, span=self._place.span(node))

    def nested(self, node: Tree[Token]) -> tree.Group:
        """A group in parentheses; `(flow name $a=1).Finished() as $e` is a spec with more behind it."""
        inner, *rest = _trees(node.children)
        group = self.build(inner)
        if not rest:
            return group
        if not isinstance(group, tree.Spec):
            raise BuildError("only a single flow, action or event has members", self._place.span(rest[0]))
        members, reference = self._tail(rest)
        if group.reference is not None and reference is not None:
            raise BuildError("there are two `as` here", self._place.span(rest[-1]))
        return replace(
            group,
            members=group.members + members,
            reference=reference or group.reference,
            span=self._place.span(node),
        )

    def named_spec(self, node: Tree[Token]) -> tree.Spec:
        """A flow, action or event by its words, with arguments in either form."""
        words, *rest = _trees(node.children)
        name = self.name(words)
        span = self._place.span(node)
        arguments = tree.Arguments(span=self._place.span(words))
        if rest and rest[0].data in {"arguments", "simple_arguments"}:
            arguments = self._expressions.arguments(rest.pop(0))
        members, reference = self._tail(rest)
        kind = kind_of(name)
        return tree.Spec(
            kind=kind, name=name, arguments=arguments, members=members, reference=reference, span=span
        )

    def reference_spec(self, node: Tree[Token]) -> tree.Spec:
        """`$reference` with its members."""
        variable, *rest = node.children
        members, reference = self._tail(_trees(rest))
        return tree.Spec(
            kind=tree.SpecKind.REFERENCE,
            name=str(variable)[1:],
            arguments=tree.Arguments(span=self._place.span(variable)),
            members=members,
            reference=reference,
            span=self._place.span(node),
        )

    def _tail(self, rest: list[Tree[Token]]) -> tuple[tuple[tree.Member, ...], str | None]:
        members = tuple(self._member(child) for child in rest if child.data == "member")
        captures = [str(child.children[0])[1:] for child in rest if child.data == "capture"]
        return members, captures[0] if captures else None

    def _member(self, node: Tree[Token]) -> tree.Member:
        name, *arguments = node.children
        built = self._expressions.arguments(as_tree(arguments[0])) if arguments else None
        return tree.Member(name=str(name), arguments=built, span=self._place.span(node))


def kind_of(name: str) -> tree.SpecKind:
    """What a name at a use site stands for: a flow has lower-case letters only."""
    if any(letter.islower() for letter in name) and not any(letter.isupper() for letter in name):
        return tree.SpecKind.FLOW
    if name.endswith("Action") and not name.startswith(("Start", "Stop", "Change")):
        return tree.SpecKind.ACTION
    return tree.SpecKind.EVENT


def _trees(children: list[Child]) -> list[Tree[Token]]:
    return [child for child in children if isinstance(child, Tree)]


RULES: Mapping[str, Callable[[GroupBuilder, Tree[Token]], tree.Group]] = {
    "or_group": GroupBuilder.or_group,
    "and_group": GroupBuilder.and_group,
    "nested": GroupBuilder.nested,
    "named_spec": GroupBuilder.named_spec,
    "reference_spec": GroupBuilder.reference_spec,
}
"""Grammar rule to builder."""

PARTS = {"words", "member", "capture"}
"""Rules that are read by the builder of the rule around them."""
