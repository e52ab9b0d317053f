"""Write `docs/configuration-keys.md` from the schema. Run it after a change of the schema."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rails_engine.config.schema import ConfigData  # noqa: E402  # the path comes first

PAGE = ROOT / "docs" / "configuration-keys.md"
HEAD = """# Every key of `config.yml`

Written by `scripts/build_config_reference.py` from the schema that loading checks against. [Configuration](configuration.md)
tells how the parts work together. In a path `[]` is an item of a list and `<name>` a name of yours. A key without a default
has to be given where its section is.

The sections of vendors' rails (`rails.config` below {vendors}) are read and checked; those rails are not built in, and a
configuration that lists one is refused.
"""
VENDORS = (
    "ai_defense",
    "autoalign",
    "clavata",
    "crowdstrike_aidr",
    "f5",
    "fact_checking",
    "fiddler",
    "gliner",
    "guardrails_ai",
    "hf_classifier",
    "pangea",
    "patronus",
    "polygraf",
    "privateai",
    "trend_micro",
)


def page() -> str:
    """The page as it should be."""
    vendors = ", ".join(f"`{name}`" for name in VENDORS)
    return "\n".join([HEAD.format(vendors=vendors), *_sections()]).rstrip() + "\n"


def _sections() -> Iterator[str]:
    """A table for the single keys of the top level, then one for each section of it."""
    rows = list(_rows(ConfigData, ""))
    singles = [row for row in rows if not _nested(row[0])]
    yield from _table("Top level", singles)
    for name in ConfigData.model_fields:
        below = [row for row in rows if _nested(row[0]) and _first(row[0]) == name]
        for title, part in _parts(name, below):
            yield from _table(f"`{title}`", part)


def _parts(
    name: str, rows: list[tuple[str, str, str, str]]
) -> Iterator[tuple[str, list[tuple[str, str, str, str]]]]:
    """`rails.config` has a table of its own: it is longer than all others."""
    settings = [row for row in rows if row[0].startswith("rails.config.")]
    yield from (
        (title, part)
        for title, part in ((name, [r for r in rows if r not in settings]), ("rails.config", settings))
        if part
    )


def _nested(path: str) -> bool:
    return "." in path or "[" in path or "<" in path


def _first(path: str) -> str:
    return path.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0]


def _table(title: str, rows: list[tuple[str, str, str, str]]) -> Iterator[str]:
    yield from (f"## {title}", "", "| key | type | default | meaning |", "|---|---|---|---|")
    yield from (f"| `{path}` | {kind} | {default} | {meaning} |" for path, kind, default, meaning in rows)
    yield ""


def _rows(schema: type[BaseModel], above: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in schema.model_fields.items():
        path = f"{above}{name}"
        sections = list(_inner(field.annotation, path))
        if not sections:
            yield path, _kind(field.annotation), _default(field), field.description or ""
        seen: set[str] = set()
        for inner, inner_path in sections:
            for row in _rows(inner, f"{inner_path}."):
                if row[0] not in seen:
                    seen.add(row[0])
                    yield row


def _inner(annotation: Any, path: str) -> Iterator[tuple[type[BaseModel], str]]:
    """The sections that stand at a key, each with the path of its keys."""
    for option in _options(annotation):
        origin, arguments = get_origin(option), get_args(option)
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield option, path
        elif origin is list:
            yield from _inner(arguments[0], f"{path}[]")
        elif origin is dict:
            yield from _inner(arguments[1], f"{path}.<name>")


def _options(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        yield from _options(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for option in get_args(annotation):
            yield from _options(option)
    elif annotation is not NoneType:
        yield annotation


NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


def _kind(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(_one_kind(option) for option in _options(annotation)))


def _one_kind(option: Any) -> str:
    origin, arguments = get_origin(option), get_args(option)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is list:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"mapping of {_kind(arguments[1])}"
    return NAMES.get(option, "text")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    value = value.value if isinstance(value, Enum) else value
    if value is None or isinstance(value, BaseModel):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | dict):
        return f"`{value}`" if not value else "built in"
    return f"`{value}`" if value != "" else "empty"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {sum(line.startswith('| `') for line in page().splitlines())} keys")
