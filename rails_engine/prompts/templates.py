"""Jinja templates, compiled once, in a sandbox in which nothing can be changed.

Only configurations and this package write templates. What users, models and documents say comes in as variables and
is never read as a template.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from jinja2 import TemplateError, Undefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rails_engine.errors import PromptError
from rails_engine.prompts.filters import FILTERS
from rails_engine.prompts.history import conversation_to_events

MAX_TEMPLATES = 1000
MAX_RENDERED = 4 << 20
_CALLING = (nodes.Call, nodes.CallBlock, nodes.Filter, nodes.FilterBlock, nodes.Test)
"""What may give something else the next time."""
_MISSING = object()
_PLAIN = frozenset({str, type(None), type(_MISSING)})
"""Types of values that are the same wherever they are equal."""
_LONE_EXPRESSION = re.compile(r"^\s*\{\{-?((?:(?!\}\}|\{\{|\{%).)*?)-?\}\}\s*$", re.DOTALL)

MAX_WIDTH = 10_000


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, without the few characters that make gigabytes: a text or a list times a number, and powers."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Multiply plain numbers of a usual size.

        Raises:
            SecurityError: something else is multiplied, or the numbers are too large.
        """
        sizes = [abs(value) if isinstance(value, int | float) else None for value in (left, right)]
        if None in sizes or max(size or 0 for size in sizes) > (
            MAX_WIDTH if operator == "**" else MAX_RENDERED
        ):
            raise SecurityError(f"`{operator}` is for plain numbers here")
        return super().call_binop(context, operator, left, right)


def _centred(value: Any, width: int = 80) -> str:
    """Jinja's `center`, of a bounded width."""
    return str(value).center(min(width, MAX_WIDTH))


Renderer: TypeAlias = Callable[[Mapping[str, Any]], Any]


class Templates:
    """Compiled templates of one configuration. Filters may be added until the first template is used, and later."""

    def __init__(self) -> None:
        self._environment = _Sandbox(keep_trailing_newline=False)
        self._environment.filters["center"] = _centred
        self._environment.filters.update(FILTERS)
        self._environment.globals["conversation_to_events"] = conversation_to_events
        self._compiled: dict[tuple[str, bool], Renderer] = {}

    def register_filter(self, function: Callable[..., Any], name: str) -> None:
        """Let templates use a filter; those compiled so far are compiled anew."""
        self._environment.filters[name] = function
        self._compiled.clear()

    def text(self, template: str, variables: Mapping[str, Any]) -> str:
        """The filled-in template.

        Raises:
            PromptError: it is no template, does something forbidden, or grows too large.
        """
        return str(self._filled(template, variables, native=False))

    def value(self, template: str, variables: Mapping[str, Any]) -> Any:
        """As `text`; but a template that is one `{{ expression }}` gives the expression's own value, such as a list.

        Raises:
            PromptError: as `text`.
        """
        return self._filled(template, variables, native=True)

    def _filled(self, template: str, variables: Mapping[str, Any], *, native: bool) -> Any:
        try:
            renderer = self._compiled.get((template, native)) or self._prepared(template, native=native)
            result = renderer(variables)
        except (
            TemplateError,
            SecurityError,
            TypeError,
            ValueError,
            LookupError,
            AttributeError,
            ArithmeticError,
        ) as error:
            line = getattr(error, "lineno", None)
            where = f" (line {line})" if line else ""
            raise PromptError(
                f"the template cannot be filled in{where}: {error}\n{template[:300]}"
            ) from error
        if isinstance(result, str) and len(result) > MAX_RENDERED:
            raise PromptError(f"the template grew to more than {MAX_RENDERED >> 20} MiB: {template[:100]!r}")
        return "" if isinstance(result, Undefined) or result is None else result

    def _prepared(self, template: str, *, native: bool) -> Renderer:
        renderer = self._compile(template, native=native)
        if len(self._compiled) >= MAX_TEMPLATES:
            self._compiled.clear()
        self._compiled[template, native] = renderer
        return renderer

    def _compile(self, template: str, *, native: bool) -> Renderer:
        alone = _LONE_EXPRESSION.match(template) if native else None
        if alone:
            expression = self._environment.compile_expression(alone[1].strip(), undefined_to_none=True)
            evaluated = partial(_evaluated, expression)
            name, *named = [step.strip() for step in alone[1].split("|")]
            filters = [self._environment.filters[each] for each in named if each in self._environment.filters]
            plain = len(filters) == len(named) and not any(map(_wants_more, filters))
            return partial(_filtered, name, filters, evaluated) if plain else evaluated
        compiled = self._environment.from_string(template)
        # Each rendering copies the globals, and a chain of mappings takes longer to copy than to render.
        compiled.globals = dict(compiled.globals)
        tree = self._environment.parse(template)
        names = tuple(sorted(find_undeclared_variables(tree)))
        return (
            _Kept(compiled.render, names) if next(tree.find_all(_CALLING), None) is None else compiled.render
        )


class _Kept:
    """A template that depends on its variables alone: filled in again only when one of them has changed."""

    __slots__ = ("_last", "_names", "_render")

    def __init__(self, render: Renderer, names: tuple[str, ...]) -> None:
        self._render = render
        self._names = names
        self._last: tuple[list[Any], str] | None = None

    def __call__(self, variables: Mapping[str, Any]) -> Any:
        values = [variables.get(name, _MISSING) for name in self._names]
        if not _PLAIN.issuperset(map(type, values)):
            return self._render(variables)
        last = self._last
        if last is not None and last[0] == values:
            return last[1]
        text = self._render(variables)
        self._last = (values, text)
        return text


def _wants_more(function: Callable[..., Any]) -> bool:
    """Whether a filter is called with parts of the template engine beside the value."""
    return hasattr(function, "jinja_pass_arg")


def _filtered(
    name: str, filters: Sequence[Callable[..., Any]], otherwise: Renderer, variables: Mapping[str, Any]
) -> Any:
    """`{{ name | filter | … }}` of a variable that there is: it needs no template engine."""
    if name not in variables:
        return otherwise(variables)
    value = variables[name]
    for function in filters:
        value = function(value)
    return value


def _evaluated(expression: Callable[..., Any], variables: Mapping[str, Any]) -> Any:
    return expression(**variables)
