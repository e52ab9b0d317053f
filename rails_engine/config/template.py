"""Whether a text is a Jinja template at all; it is only read here, and rendered by `rails_engine.prompts`."""

from __future__ import annotations

from functools import cache, lru_cache

from jinja2 import TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

TEXTS_KEPT = 512


@lru_cache(maxsize=TEXTS_KEPT)
def template_fault(text: str) -> str:
    """What is wrong with a template, with the line in it; empty where nothing is."""
    try:
        _environment().parse(text)
    except TemplateSyntaxError as error:
        return f"{error.message} (line {error.lineno} of the text)"
    return ""


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment()
