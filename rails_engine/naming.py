"""Names as Colang 2.x, as Colang 1.0 and as Python spell them."""

from __future__ import annotations

import re

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def camelcase_to_snakecase(name: str) -> str:
    """`FooBarAction` as `foo_bar_action`."""
    return _WORD_START.sub("_", name).lower()


def snake_to_camelcase(name: str) -> str:
    """`foo_bar` as `FooBar`."""
    return "".join(part.capitalize() for part in name.split("_"))
