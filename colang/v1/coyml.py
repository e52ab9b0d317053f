"""CoYML: flows of Colang 1.0 written as YAML data in a configuration.

An element is a map whose first key says what it is; beside `if` stand `then` and `else`, beside `while` stands `do`.
Words that stand alone, such as `break`, may have any value.
Lists among the elements are branches: each begins with what it waits for. The data is written out as Colang and read
like any other, so both forms have one meaning and prompts quote flows of both alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from colang.errors import ColangLoadError
from colang.source import Source, Span
from colang.tree import Constant
from colang.v1 import tree
from colang.v1.anonymous import name_of_body
from colang.v1.elements import FlowCode
from colang.v1.lowering import lower_flow
from colang.v1.parser import parse_body

_INDENT = "  "
_WORDS = {
    "user": "user",
    "intent": "user",
    "bot": "bot",
    "utter": "bot",
    "execute": "execute",
    "run": "execute",
    "action": "execute",
    "do": "do",
    "flow": "do",
    "call": "do",
    "activate": "do",
    "set": "set",
    "create_event": "create event",
    "label": "label",
    "checkpoint": "label",
    "goto": "goto",
    "check": "check",
}
_ALONE = frozenset({"stop", "abort", "continue", "pass", "break", "return", "done"})
_BLOCKS = {"if": "then", "while": "do", "any": ""}
"""First word of a block to the key that its elements stand under; those of `any` stand under the word itself."""

_SETTINGS = ("priority", "is_subflow", "is_extension", "allow_multiple", "interruptable")


def flows_of_yaml(flows: Iterable[Mapping[str, Any]], source: str = "config.yml") -> tuple[FlowCode, ...]:
    """The flows of a configuration's `flows` list.

    Raises:
        ColangSyntaxError: what an element says is no Colang.
        ColangLoadError: an entry is no flow, or an element is none.
    """
    return tuple(lower_flow(flow_of_yaml(entry, source)) for entry in flows)


def flow_of_yaml(entry: Mapping[str, Any], source: str = "config.yml") -> tree.Flow:
    """The tree of one entry: `{id?, priority?, is_subflow?, elements}`."""
    name, elements = entry.get("id"), entry.get("elements")
    if not isinstance(name, str | None) or not isinstance(elements, list) or not elements:
        raise ColangLoadError(
            f"a flow in {source} needs a list of `elements`, and its `id` is a text: {entry!r}"
        )
    text = "\n".join(_lines(elements, f"flow `{name or elements[0]}` in {source}"))
    name = name or name_of_body(text)
    span = Span(source, 1, 1, 1, 1)
    body = parse_body(Source(f"{source}, flow {name}", text))
    settings: tuple[tuple[str, Constant], ...] = tuple((key, entry[key]) for key in _SETTINGS if key in entry)
    if settings:
        body = (tree.Meta(entries=settings, span=span), *body)
    return tree.Flow(name=name, modifiers=frozenset(), body=body, text=text, span=span)


def _lines(elements: Sequence[Any], where: str) -> Iterator[str]:
    """The elements as lines of Colang; lists in a row are the branches of one `when`."""
    word = "when"
    for element in elements:
        if isinstance(element, list):
            yield from _branch(word, element, where)
            word = "else when"
        else:
            yield from _element(element, where)
            word = "when"


def _branch(word: str, elements: Sequence[Any], where: str) -> Iterator[str]:
    if not elements:
        raise ColangLoadError(f"an empty branch in {where}")
    condition = " ".join(_element(elements[0], where))
    yield f"{word} {condition}"
    yield from _body(elements[1:], where)


def _body(elements: object, where: str) -> Iterator[str]:
    listed = elements if isinstance(elements, list) else [elements]
    lines = list(_lines(listed, where)) if elements else ["pass"]
    return (_INDENT + line for line in lines)


def _element(element: object, where: str) -> Iterator[str]:
    if isinstance(element, str):
        yield element
        return
    if not isinstance(element, Mapping) or not element:
        raise ColangLoadError(f"an element of {where} is a map or a line of Colang, not {element!r}")
    key, value = next(iter(element.items()))
    if key in _WORDS:
        yield _simple(_WORDS[key], value, element)
    elif key in _ALONE:
        yield str(key)
    elif key in _BLOCKS:
        yield from _block(key, value, element, where)
    elif key == "meta":
        yield f"meta {json.dumps(value if isinstance(value, Mapping) else {})}"
    elif key == "event":
        yield _event(value, element)
    else:
        known = ", ".join((*_WORDS, *sorted(_ALONE), *_BLOCKS, "meta", "event"))
        raise ColangLoadError(f"`{key}` is no element of a flow, in {where}; known are {known}")


def _block(key: str, value: object, element: Mapping[str, Any], where: str) -> Iterator[str]:
    if key == "any":
        yield "any"
        yield from _body(value, where)
        return
    yield f"{key} {value}"
    yield from _body(element.get(_BLOCKS[key]), where)
    if key == "if" and "else" in element:
        yield "else"
        yield from _body(element["else"], where)


def _simple(word: str, value: object, element: Mapping[str, Any]) -> str:
    text = " ".join(str(value).split())
    if word == "set" and not text.startswith("$"):
        text = f"${text}"
    result = element.get("result")
    if word == "execute" and (assigned := _ASSIGNED.match(text)):
        result, text = assigned.groups()
    text += _called_with(element.get("params") or {})
    return f"${str(result).removeprefix('$')} = {word} {text}" if result else f"{word} {text}"


def _called_with(params: Mapping[str, Any]) -> str:
    return f"({', '.join(f'{name}={_value(value)}' for name, value in params.items())})" if params else ""


_ASSIGNED = re.compile(r"(\$\w+)\s*=\s*(.+)")


def _event(value: object, element: Mapping[str, Any]) -> str:
    """An event by its type, or by its type and fields; `params` are fields, too."""
    fields = dict(value) if isinstance(value, Mapping) else {"type": value}
    fields |= element.get("params") or {}
    kinds = [fields.pop(key) for key in ("_type", "type") if key in fields]
    return f"event {kinds[0] if kinds else '...'}{_called_with(fields)}"


def _value(value: object) -> str:
    """A variable, or a value as Colang writes it."""
    if isinstance(value, str) and value.startswith("$"):
        return value
    return repr(value) if value is None or isinstance(value, bool) else json.dumps(value)
