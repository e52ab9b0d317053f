"""From lark trees of Colang 1.0 to the nodes of `colang.v1.tree`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from textwrap import dedent

from lark import Token, Tree

from colang import tree as expressions
from colang.errors import ColangSyntaxError
from colang.source import Source, Span
from colang.v1 import tree
from colang.v1.anonymous import name_of_body
from colang.v1.lines import Line, intents_of, name_of, unquoted
from colang.v1.meta import meta_of, meta_of_json
from colang.v2 import Place, as_tree

_RUN = re.compile(r"(?:execute|exec|run)\s+(.*)\Z", re.DOTALL)
_DO = re.compile(r"do\s+(.*)\Z", re.DOTALL)
_KIND = re.compile(r"(user|bot|event)\b\s*(?:says\b\s*)?(.*)\Z", re.DOTALL)
_INLINE_TEXT = re.compile(r'(.*?)\s*"(.*)"\s*\Z', re.DOTALL)
_PARAMETER = re.compile(r"(\w+)\s*[:=]\s*(.*)\Z", re.DOTALL)
_PLAIN_ENTRY = re.compile(r"(\w+)\s*[:=]\s*([^\W\d][\w -]*)\Z")
_CONSTANTS = frozenset({"True", "False", "None", "true", "false", "null"})
_TYPE = re.compile(r"[^\W\d]\w*\Z")


class Builder:
    """Builds the trees of one text, with bare line feeds, that begins at `line` of a source.

    A method that is named after a grammar rule builds what the rule has found (`RULES`).

    Raises:
        ColangSyntaxError: from each of them, for what the grammar lets pass and no program may contain.
    """

    def __init__(self, source: Source, text: str, line: int) -> None:
        self._source = source
        self._lines = text.split("\n")
        self._place = Place(source.name, line, has_parts=False)

    # --- files ---

    def file(self, node: Tree[Token]) -> tree.File:
        """The tree of a whole file."""
        users = tuple(self._user_message(child) for child in _named(node, "user_definition"))
        bots = [self._bot_message(child) for child in _named(node, "bot_definition")]
        flows = [self._flow(child) for child in _named(node, "flow_definition")]
        flows += [_direct(message, answer) for message in users for answer in message.answers]
        self._refuse_twins(flows)
        imports = tuple(name_of(str(child.children[0])).strip('"') for child in _named(node, "import_"))
        return tree.File(
            user_messages=users,
            bot_messages=tuple(bots),
            flows=tuple(flows),
            imports=imports,
            span=Span(self._source.name, 1, 1, 1, 1),
        )

    def body(self, node: Tree[Token]) -> tuple[tree.Statement, ...]:
        """The statements of a body, in order."""
        return tuple(self._statement(child) for child in node.children)

    def _user_message(self, node: Tree[Token]) -> tree.UserMessage:
        lines = list(_lines_of(node))
        return tree.UserMessage(
            name=name_of(str(node.children[1])),
            examples=tuple(self._message(line) for line in lines if line.data == "message"),
            references=tuple(name_of(str(line.children[0])) for line in lines if line.data == "reference"),
            answers=tuple(self.bot(line) for line in lines if line.data == "bot"),
            span=self._place.span(node),
        )

    def _bot_message(self, node: Tree[Token]) -> tree.BotMessage:
        # Below a branch the lines come in another order than written.
        lines = sorted(_lines_of(node), key=lambda line: line.meta.line)
        return tree.BotMessage(
            name=name_of(str(node.children[1])),
            texts=tuple(self._message(line) for line in lines if line.data == "message"),
            strays=tuple(self._place.span(line) for line in lines if line.data == "stray"),
            span=self._place.span(node),
        )

    def _message(self, node: Tree[Token]) -> str:
        """A quoted text, without the blanks around each of its lines."""
        inside = str(node.children[0]).strip()[1:-1]
        return "\n".join(line.strip() for line in inside.split("\n")).strip()

    def _flow(self, node: Tree[Token]) -> tree.Flow:
        head, *name, body = node.children
        words = str(head).rstrip(":").split()
        text = self._text(as_tree(body))
        written = name_of(str(name[0])) if name else ""
        return tree.Flow(
            name=written or name_of_body(text),
            modifiers=frozenset(words[1:-1]) | ({"subflow"} if words[-1] == "subflow" else frozenset()),
            body=self.body(as_tree(body)),
            text=text,
            span=self._place.span(head),
        )

    def _text(self, body: Tree[Token]) -> str:
        first, last = body.children[0], body.children[-1]
        lines = self._lines[_line(first) - 1 : _end_line(last)]
        return dedent("\n".join(lines)).strip("\n")

    def _refuse_twins(self, flows: Iterable[tree.Flow]) -> None:
        seen: dict[str, tree.Flow] = {}
        for flow in flows:
            first = seen.setdefault(flow.name, flow)
            if first is not flow and not flow.name.startswith("anonymous-"):
                message = f"flow `{flow.name}` is defined twice in this file, first in line {first.span.line}"
                raise ColangSyntaxError(message, self._source, flow.span)

    # --- statements ---

    def _statement(self, child: Token | Tree[Token]) -> tree.Statement:
        if isinstance(child, Token):
            return WORDS[child.type](span=self._place.span(child))
        return RULES[child.data](self, child)

    def _rest(self, node: Tree[Token], index: int = -1) -> Line:
        token = node.children[index]
        if not isinstance(token, Token):
            raise TypeError(f"the grammar gives a text here, not {token.data}")
        text = token.rstrip()
        begin = self._place.span(token)
        return Line(text, self._source, replace(self._place, line=begin.line, column=begin.column))

    def user(self, node: Tree[Token]) -> tree.User:
        """`user intent` or `user a or b`.

        Raises:
            ColangSyntaxError: `as $name`, which would capture nothing.
        """
        return self._user_of(self._rest(node), self._place.span(node))

    def _user_of(self, line: Line, span: Span) -> tree.User:
        intents = intents_of(line.text)
        for intent in intents:
            if intent is not None and " as $" in intent:
                raise ColangSyntaxError(
                    "`user ... as $name` captures nothing; leave out `as`", self._source, span
                )
        return tree.User(intents=intents, span=span)

    def bot(self, node: Tree[Token]) -> tree.Bot:
        """`bot intent`, `bot intent(...)` or `bot "text"`, with the messages indented below it."""
        texts = tuple(self._message(child) for child in _named(node, "message"))
        return self._bot_of(self._rest(node, 0), texts, self._place.span(node))

    def _bot_of(self, line: Line, texts: tuple[str, ...], span: Span) -> tree.Bot:
        name = line.plain
        arguments: tree.Arguments = ()
        inline = _INLINE_TEXT.match(line.text.rstrip().removesuffix(":"))
        whole = unquoted(line.plain)
        if whole is not None:
            return tree.Bot(intent=whole, texts=(whole, *texts), span=span)
        if inline and not _is_call(inline[1]):
            name, texts = name_of(inline[1]), (inline[2].strip(), *texts)
        elif _is_call(name):
            name, arguments = line.call()
        return tree.Bot(
            intent=None if name == "..." else name,
            texts=texts,
            arguments=arguments,
            instructions=self._comment_above(span.line),
            span=span,
        )

    def event(self, node: Tree[Token]) -> tree.WaitFor:
        """`event Type(name=value)`.

        Raises:
            ColangSyntaxError: what stands there is no type of event.
        """
        return self._event_of(self._rest(node), self._place.span(node))

    def _event_of(self, line: Line, span: Span) -> tree.WaitFor:
        kind, properties = self._typed(line, span)
        return tree.WaitFor(type=kind, properties=properties, span=span)

    def _typed(self, line: Line, span: Span) -> tuple[str, tree.Arguments]:
        kind, properties = line.call()
        if not _TYPE.match(kind):
            raise ColangSyntaxError(f"`{kind}` is no type of event", self._source, span)
        return kind, properties

    def create(self, node: Tree[Token]) -> tree.Create:
        """`create event Type(...)`, `create user intent` or `create bot intent`.

        Raises:
            ColangSyntaxError: what stands there is no type of event.
        """
        line, span = self._rest(node), self._place.span(node)
        match = _KIND.match(line.text)
        if match is None or match[1] == "event":
            kind, properties = self._typed(line.part(match[2]) if match else line, span)
            return tree.Create(type=kind, properties=properties, span=span)
        intent = expressions.Literal(value=name_of(match[2]), span=span)
        kind = "UserIntent" if match[1] == "user" else "BotIntent"
        return tree.Create(type=kind, properties=(("intent", intent),), span=span)

    def do(self, node: Tree[Token]) -> tree.Do:
        """`do flow(...)`, or `do $flow` for the flow that a variable names."""
        return self._do_of(self._rest(node), (), self._place.span(node))

    def _do_of(self, line: Line, results: tuple[str, ...], span: Span) -> tree.Do:
        text = line.plain
        flow, arguments = (text, ()) if re.fullmatch(r"\$\w+", text) else line.call()
        return tree.Do(flow=flow, arguments=arguments, results=results, span=span)

    def execute(self, node: Tree[Token]) -> tree.Execute:
        """`execute action(...)`, further parameters indented below it as `name: value`.

        Raises:
            ColangSyntaxError: a line below it is no parameter.
        """
        return self._execute_of(self._rest(node, 0), None, node)

    def _execute_of(self, line: Line, result: str | None, node: Tree[Token]) -> tree.Execute:
        action, arguments = line.call()
        more = tuple(self._parameter(child) for child in _named(node, "parameter"))
        return tree.Execute(
            action=action, arguments=arguments + more, result=result, span=self._place.span(node)
        )

    def _parameter(self, node: Tree[Token]) -> tuple[str, expressions.Expression]:
        line = self._rest(node)
        match = _PARAMETER.match(line.text)
        if match is None:
            raise ColangSyntaxError(
                "a parameter is written `name: value`", self._source, self._place.span(node)
            )
        return match[1], line.part(match[2]).expression()

    def assign(self, node: Tree[Token]) -> tree.Statement:
        """`$x = ...`: a value, the result of an action or a flow, or what a model is asked for.

        Raises:
            ColangSyntaxError: several targets of one value.
        """
        targets, operator = (str(child) for child in node.children[:2])
        names = tuple(name.strip().removeprefix("$") for name in targets.split(","))
        line, span = self._rest(node, 2), self._place.span(node)
        if line.plain == "...":
            return tree.Ask(target=names[0], instructions=self._comment_above(span.line), span=span)
        run, do = _RUN.match(line.text), _DO.match(line.text)
        if run:
            return self._execute_of(line.part(run[1]), names[0], node)
        if do:
            return self._do_of(line.part(do[1]), names, span)
        if len(names) > 1:
            raise ColangSyntaxError("several results come only from `do`", self._source, span)
        return tree.Assign(target=names[0], operator=operator, value=line.expression(), span=span)

    def label(self, node: Tree[Token]) -> tree.Label:
        """`label name`."""
        return tree.Label(name=self._rest(node).plain, span=self._place.span(node))

    def goto(self, node: Tree[Token]) -> tree.Goto:
        """`goto name`."""
        return tree.Goto(label=self._rest(node).plain, span=self._place.span(node))

    def return_(self, node: Tree[Token]) -> tree.Return:
        """`return`, `return a` or `return a, b`."""
        values: tuple[expressions.Expression, ...] = ()
        if node.children:
            values = tuple(value for _, value in self._rest(node).arguments())
        return tree.Return(values=values, span=self._place.span(node))

    def check(self, node: Tree[Token]) -> tree.Check:
        """`check test`."""
        return tree.Check(test=self._rest(node).test(), span=self._place.span(node))

    def priority(self, node: Tree[Token]) -> tree.Meta:
        """`priority number`, short for `meta` with that key.

        Raises:
            ColangSyntaxError: it is no constant.
        """
        line = self._rest(node)
        return meta_of([("priority", line.expression())], self._source, self._place.span(node))

    def meta(self, node: Tree[Token]) -> tree.Meta:
        """`meta {"key": value}` on one line, or `key: value` on indented ones.

        Raises:
            ColangSyntaxError: neither, or a value that is no constant.
        """
        span = self._place.span(node)
        if not node.children:
            message = "`meta` is followed by JSON, or by indented lines `key: value`"
            raise ColangSyntaxError(message, self._source, span)
        if isinstance(node.children[0], Token):
            return meta_of_json(str(node.children[0]), self._source, span)
        entries = [self._meta_entry(child) for child in _named(node, "parameter")]
        return meta_of(entries, self._source, span)

    def _meta_entry(self, node: Tree[Token]) -> tuple[str, expressions.Expression]:
        """`key: value`; plain words are a text."""
        line = self._rest(node)
        words = _PLAIN_ENTRY.fullmatch(line.plain)
        if words is None or words[2] in _CONSTANTS:
            return self._parameter(node)
        return words[1], expressions.Literal(value=words[2], span=self._place.span(node))

    # --- blocks ---

    def if_(self, node: Tree[Token]) -> tree.If:
        """`if`, any number of `else if`, and perhaps `else`."""
        parts = [as_tree(child) for child in node.children]
        branches = tuple(self._branch(part) for part in parts if part.data != "otherwise")
        return tree.If(branches=branches, otherwise=self._otherwise(parts), span=self._place.span(node))

    def _branch(self, node: Tree[Token]) -> tree.Branch:
        test = self._rest(node, 0).test()
        return tree.Branch(test=test, body=self.body(as_tree(node.children[1])), span=self._place.span(node))

    def while_(self, node: Tree[Token]) -> tree.While:
        """`while test`."""
        branch = self._branch(node)
        return tree.While(test=branch.test, body=branch.body, span=branch.span)

    def when(self, node: Tree[Token]) -> tree.When:
        """`when`, any number of `else when`, and perhaps `else`."""
        parts = [as_tree(child) for child in node.children]
        cases = tuple(self._case(part) for part in parts if part.data != "otherwise")
        return tree.When(cases=cases, otherwise=self._otherwise(parts), span=self._place.span(node))

    def _case(self, node: Tree[Token]) -> tree.Case:
        span = self._place.span(node)
        condition = self._condition(self._rest(node, 0), span)
        return tree.Case(condition=condition, body=self.body(as_tree(node.children[1])), span=span)

    def _condition(self, line: Line, span: Span) -> tree.Condition:
        match = _KIND.match(line.text)
        if match is None:
            word = line.text.split()[0]
            # These read in the peer and never match; the checker says so.
            known = word in tree.NEVER
            return tree.WaitFor(type=word, span=span) if known else self._event_of(line, span)
        kind, rest = match[1], line.part(match[2])
        if kind == "user":
            return self._user_of(rest, span)
        return self._bot_of(rest, (), span) if kind == "bot" else self._event_of(rest, span)

    def _otherwise(self, parts: list[Tree[Token]]) -> tuple[tree.Statement, ...] | None:
        last = parts[-1]
        return self.body(as_tree(last.children[0])) if last.data == "otherwise" else None

    def any_(self, node: Tree[Token]) -> tree.AnyOf:
        """`any` over several lines of `user`, `bot` and `event`; other statements among them count for nothing."""
        items = tuple(self._statement(child) for child in node.children)
        conditions = tuple(item for item in items if isinstance(item, tree.User | tree.Bot | tree.WaitFor))
        return tree.AnyOf(items=conditions, span=self._place.span(node))

    def _comment_above(self, line: int) -> str | None:
        """The comment lines directly above: what the author tells the model about this line."""
        comments: list[str] = []
        for above in range(line - self._place.line - 1, -1, -1):
            text = self._lines[above].strip()
            if not text.startswith("#"):
                break
            comments.append(text.removeprefix("#").strip())
        return "\n".join(reversed(comments)) or None


def _kind(child: Token | Tree[Token]) -> str:
    return child.type if isinstance(child, Token) else str(child.data)


def _named(node: Tree[Token], name: str) -> Iterator[Tree[Token]]:
    return (child for child in node.children if isinstance(child, Tree) and child.data == name)


def _lines_of(node: Tree[Token]) -> Iterator[Tree[Token]]:
    """What stands below `define user` or `define bot`, also in branches: texts, and what is nothing to say."""
    for child in node.children:
        if _kind(child) in {"message", "stray", "bot", "reference"}:
            yield as_tree(child)
        if _kind(child) in {"message_branch", "reference"}:
            yield from _lines_of(as_tree(child))


def _line(child: Token | Tree[Token]) -> int:
    return (child.line if isinstance(child, Token) else child.meta.line) or 1


def _end_line(child: Token | Tree[Token]) -> int:
    return (child.end_line if isinstance(child, Token) else child.meta.end_line) or 1


def _is_call(name: str) -> bool:
    return "(" in name or " with $" in name


def _direct(message: tree.UserMessage, answer: tree.Bot) -> tree.Flow:
    """The flow that a `bot` line inside the definition of a user message stands for."""
    user = tree.User(intents=(message.name,), span=message.span)
    text = f"user {message.name}\nbot {answer.intent}"
    name = f"{message.name}_direct"
    body = (user, replace(answer, instructions=None))
    return tree.Flow(name=name, modifiers=frozenset(), body=body, text=text, span=answer.span)


RULES: Mapping[str, Callable[[Builder, Tree[Token]], tree.Statement]] = {
    "user": Builder.user,
    "bot": Builder.bot,
    "event": Builder.event,
    "do": Builder.do,
    "execute": Builder.execute,
    "assign": Builder.assign,
    "create": Builder.create,
    "label": Builder.label,
    "goto": Builder.goto,
    "return_": Builder.return_,
    "check": Builder.check,
    "priority": Builder.priority,
    "meta": Builder.meta,
    "if_": Builder.if_,
    "while_": Builder.while_,
    "when": Builder.when,
    "any_": Builder.any_,
}
"""Grammar rule to builder."""

WORDS: Mapping[str, type[tree.Stop | tree.Continue | tree.Break]] = {
    "STOP": tree.Stop,
    "CONTINUE": tree.Continue,
    "BREAK": tree.Break,
}
"""Statements that are a single word."""

PARTS = {
    "file",
    "statements",
    "import_",
    "user_definition",
    "bot_definition",
    "flow_definition",
    "skipped",
    "skipped_line",
    "message",
    "reference",
    "slot",
    "message_branch",
    "stray",
    "body",
    "parameter",
    "branch",
    "elif_branch",
    "otherwise",
    "case",
    "or_case",
}
"""Rules that are read by the builder of the rule around them."""
