"""YAML text to plain data that remembers where each value stood.

Only YAML's safe types are read. Sizes are bounded before anything is built: the text, the depth, and the number of
nodes after aliases are followed, so that a few lines of nested aliases cannot fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from colang import pointed
from rails_engine.config.problems import ConfigProblemsError, KeyPath, Place, Problem

MAX_BYTES = 8 << 20
MAX_NODES = 500_000
MAX_DEPTH = 64

_PLAIN_TAGS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class MarkedDict(dict[str, Any]):
    """A mapping that knows the place of each key."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[Any, Place] = {}


class MarkedList(list[Any]):
    """A sequence that knows the place of each item."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[Place | None] = []


def parse(text: str, file: str) -> tuple[MarkedDict, list[Problem]]:
    """The mapping that `text` holds (empty for an empty text), and what is odd about it.

    Raises:
        ConfigProblemsError: the text is no YAML, no mapping, or too large.
    """
    if len(text) > MAX_BYTES:
        raise _refuse(f"the file is larger than {MAX_BYTES >> 20} MiB", Place(file, 1, 1))
    node = _compose(text, file)
    if node is None or (isinstance(node, yaml.ScalarNode) and not node.value):
        return MarkedDict(), []
    if not isinstance(node, yaml.MappingNode):
        raise _refuse("expected a mapping of configuration keys, such as `models:`", _place(file, node))
    _Bounds(file).check(node)
    builder = _Builder(file)
    data = builder.mapping(node)
    for key, place in data.places.items():
        if not isinstance(key, str):
            raise _refuse(f"a key must be a word, not {key!r}", place)
    return data, builder.problems


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        context = f" ({error.context})" if error.context else ""
        shown = _caret(text, place)
        raise _refuse(f"this is no valid YAML: {error.problem}{context}{shown}", place) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _refuse(f"this is no valid YAML: {error}", Place(file, 1, 1)) from error


def _caret(text: str, place: Place) -> str:
    lines = text.splitlines()
    if not 0 < place.line <= len(lines):
        return ""
    return f"\n{pointed(lines[place.line - 1], place.column)}"


def _refuse(message: str, place: Place) -> ConfigProblemsError:
    return ConfigProblemsError([Problem("error", message, place=place)])


def _place(file: str, node: yaml.Node) -> Place:
    mark = node.start_mark
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)


class _Bounds:
    """Counts nodes as if every alias were written out, without writing one out."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()

    def check(self, node: yaml.Node, depth: int = 0) -> int:
        """The number of nodes below and with `node`, aliases written out.

        Raises:
            ConfigProblemsError: too many or too deep, or an alias that contains itself.
        """
        key = id(node)
        if key in self._open:
            raise _refuse("an alias refers to something that contains it", _place(self._file, node))
        if depth > MAX_DEPTH:
            raise _refuse(f"nested more than {MAX_DEPTH} deep", _place(self._file, node))
        if key in self._sizes:
            return self._sizes[key]
        self._open.add(key)
        size = 1 + sum(self.check(child, depth + 1) for child in _children(node))
        self._open.discard(key)
        if size > MAX_NODES:
            raise _refuse(f"aliases expand to more than {MAX_NODES:,} values", _place(self._file, node))
        self._sizes[key] = size
        return size


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return []


class _Builder:
    """Nodes to marked data; scalars are resolved by PyYAML's safe constructor."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._scalars = yaml.constructor.SafeConstructor()
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node) -> Any:
        """The data of a node.

        Raises:
            ConfigProblemsError: a tag is not allowed, or a scalar cannot be read.
        """
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
            raise _refuse(f"the tag {node.tag} is not allowed here", _place(self._file, node))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node)
        try:
            return self._scalars.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            problem = getattr(error, "problem", None) or str(error)
            raise _refuse(f"cannot read this value: {problem}", _place(self._file, node)) from error

    def mapping(self, node: yaml.MappingNode) -> MarkedDict:
        """A mapping, with the place of each of its keys."""
        self._warn_of_repeats(node)
        self._scalars.flatten_mapping(node)
        result = MarkedDict()
        for key_node, value_node in node.value:
            key = self._key(key_node)
            result[key] = self.value(value_node)
            result.places[key] = _place(self._file, key_node)
        return result

    def _warn_of_repeats(self, node: yaml.MappingNode) -> None:
        seen: dict[str, Place] = {}
        for key_node, _ in node.value:
            key, place = str(key_node.value), _place(self._file, key_node)
            if key in seen:
                message = f"given twice; the value of line {seen[key].line} has no effect"
                self.problems.append(Problem("warning", message, (key,), place))
            seen[key] = place

    def _key(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise _refuse("a key must be a word, not a list or a mapping", _place(self._file, node))
        return self.value(node)

    def _sequence(self, node: yaml.SequenceNode) -> MarkedList:
        result = MarkedList()
        for item in node.value:
            result.append(self.value(item))
            result.places.append(_place(self._file, item))
        return result


def plain(value: Any) -> Any:
    """`value` without its places."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def locate(value: Any, key: KeyPath) -> Place | None:
    """The place of `key` in marked data, or of the nearest enclosing key that has one."""
    found: Place | None = None
    for part in key:
        found = _own_place(value, part) or found
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    return found


def _own_place(value: Any, part: str | int) -> Place | None:
    if isinstance(value, MarkedDict):
        return value.places.get(part)
    if isinstance(value, MarkedList) and isinstance(part, int) and 0 <= part < len(value.places):
        return value.places[part]
    return None
