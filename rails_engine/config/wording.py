"""What the schema's complaints say in the words of somebody who writes YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from rails_engine.config import schema

_EXPECTED = {
    "list_type": "a list",
    "dict_type": "a mapping",
    "string_type": "text",
    "bool_type": "`true` or `false`",
    "bool_parsing": "`true` or `false`",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}
_MAPPINGS = ("model_type", "model_attributes_type")
_KEYS_SHOWN = 6
_LETTERS_SHOWN = 40


def worded(detail: ErrorDetails) -> str:
    """One sentence for a complaint: what is expected, what was found, and how to write it where that is plain."""
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        return f"`{detail['loc'][-1]}` is missing here"
    if kind in _MAPPINGS:
        keys = _keys(detail)
        return f"a mapping {_with_keys(keys)}is expected, not {_shown(value)}{_as_mapping(value, keys)}"
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind]} is expected, not {_shown(value)}{_rewritten(kind, value)}"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    found = f", not {_shown(value)}" if message.startswith("should") else ""
    return message[:1].lower() + message[1:] + found


def _keys(detail: ErrorDetails) -> list[str]:
    name = str(detail.get("ctx", {}).get("class_name", ""))
    section = getattr(schema, name, None)
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []


def _with_keys(keys: list[str]) -> str:
    named = ", ".join(f"`{key}`" for key in keys[:_KEYS_SHOWN])
    return f"with keys such as {named} " if named else ""


def _as_mapping(value: Any, keys: list[str]) -> str:
    if isinstance(value, bool) and "enabled" in keys:
        return f"; write it as `enabled: {str(value).lower()}` below"
    if isinstance(value, list) and "flows" in keys:
        return "; write the list below `flows`"
    return ""


def _rewritten(kind: str, value: Any) -> str:
    if kind == "list_type" and isinstance(value, str):
        return (
            f"; write it as an item: `- {value}`" if len(value) <= _LETTERS_SHOWN else "; write it as an item"
        )
    if kind == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f'; write it in quotes: "{value}"'
    return ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        short = value if len(value) <= _LETTERS_SHOWN else f"{value[:_LETTERS_SHOWN]}…"
        return f"the text {short!r}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else f"a {type(value).__name__}"
