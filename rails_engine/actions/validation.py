"""Decorators that hold an action's input and answer to rules, for actions that call services.

A rule is a name or a function of the text. A function that answers with a text replaces the text, one that answers with
False refuses it.

| name | of | does |
|---|---|---|
| `length` | input, answer | refuses more than `max_len` characters |
| `quote` | input | writes the text as it stands in the path of an address |
| `ip_filter` | answer | takes out IPv4 addresses |
| `is_default_resp` | answer | refuses what search services say when they have found nothing |
| `filter_secrets` | answer | takes out what looks like an API key |
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

F = TypeVar("F", bound=Callable[..., Any])
Rule: TypeAlias = str | Callable[..., Any]

MAX_LENGTH = 50
DEFAULT_ANSWERS = (
    "No good Wikipedia Search Result was found",
    "No good Google Search Result was found",
    "No good search result found",
)
_QUOTES = "\"'"
_IP = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_SECRET = re.compile(
    r"(?i)\b(?:sk-[a-z0-9_-]{16,}|nvapi-[a-z0-9_-]{16,}|akia[0-9a-z]{16}|gh[pousr]_[a-z0-9]{30,}"
    r"|xox[abpr]-[a-z0-9-]{10,}|bearer\s+[a-z0-9._-]{20,})"
)


def max_length(value: str, max_len: int = MAX_LENGTH) -> bool:
    """Fine where the text has at most `max_len` characters."""
    return len(value) <= max_len


def contains_quotes(value: str) -> bool:
    """Fine where there is no quotation mark."""
    return not any(mark in value for mark in _QUOTES)


def is_default_resp(value: str, default_responses: Collection[str] = DEFAULT_ANSWERS) -> bool:
    """Fine where the answer is none of the service's stock answers."""
    return value.strip() not in default_responses


def ip_filter(value: str) -> str:
    """The text with IP addresses taken out."""
    return _IP.sub("", value)


def filter_secrets(value: str) -> str:
    """The text with what looks like an API key taken out."""
    return _SECRET.sub("", value)


_OF_INPUT: Mapping[str, Callable[..., Any]] = {"length": max_length, "quote": quote}
_OF_ANSWER: Mapping[str, Callable[..., Any]] = {
    "length": max_length,
    "ip_filter": ip_filter,
    "is_default_resp": is_default_resp,
    "filter_secrets": filter_secrets,
}


def validate_input(attribute: str, validators: Iterable[Rule] = (), **values: Any) -> Callable[[F], F]:
    """Hold an argument of this name to rules, or the attribute of the object whose method is called without it.

    Decorates a function, a method, or a class, whose `run` is meant.

    Raises:
        ValueError: a rule of this name is not known. From the decorated function: the text is missing or refused.
    """
    rules = _rules(validators, _OF_INPUT)

    def judged(value: Any) -> Any:
        if not value:
            raise ValueError(f"{attribute} is required")
        return _held(rules, value, values)

    def decorate(target: F) -> F:
        function = _run_of(target)
        names = list(inspect.signature(function).parameters)

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            given, named = _judged_in(names, attribute, judged, (args, kwargs))
            return function(*given, **named)

        return _put_back(target, checked)

    return decorate


def validate_response(validators: Iterable[Rule] = (), **values: Any) -> Callable[[F], F]:
    """Hold what a function, a method or a class's `run` answers to rules; what is no text passes.

    Raises:
        ValueError: a rule of this name is not known. From the decorated function: the answer is refused.
    """
    rules = _rules(validators, _OF_ANSWER)

    def decorate(target: F) -> F:
        function = _run_of(target)

        async def awaited(answer: Any) -> Any:
            return _held(rules, await answer, values)

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            answer = function(*args, **kwargs)
            return awaited(answer) if inspect.isawaitable(answer) else _held(rules, answer, values)

        return _put_back(target, checked)

    return decorate


def _rules(given: Iterable[Rule], known: Mapping[str, Callable[..., Any]]) -> tuple[Callable[..., Any], ...]:
    unknown = [rule for rule in given if isinstance(rule, str) and rule not in known]
    if unknown:
        raise ValueError(f"there is no validator {unknown[0]!r}; there are {', '.join(known)}")
    return tuple(known[rule] if isinstance(rule, str) else rule for rule in given)


def _judged_in(
    names: Sequence[str],
    attribute: str,
    judged: Callable[[Any], Any],
    call: tuple[tuple[Any, ...], dict[str, Any]],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call with the one of this name judged; where there is none, that of the method's object is."""
    args, kwargs = call
    if attribute in kwargs:
        return args, {**kwargs, attribute: judged(kwargs[attribute])}
    at = names.index(attribute) if attribute in names else len(args)
    if at < len(args):
        return (*args[:at], judged(args[at]), *args[at + 1 :]), kwargs
    fine = judged(getattr(args[0], attribute, None) if args else None)
    setattr(args[0], attribute, fine)
    return args, kwargs


def _held(rules: Iterable[Callable[..., Any]], value: Any, values: Mapping[str, Any]) -> Any:
    """`value` after all rules.

    Raises:
        ValueError: one refuses it.
    """
    for rule in rules if isinstance(value, str) else ():
        try:
            known = inspect.signature(rule).parameters
        except ValueError:  # a built-in function that does not tell
            known = MappingProxyType({})
        answer = rule(value, **{name: item for name, item in values.items() if name in known})
        if answer is False:
            raise ValueError(f"refused by {getattr(rule, '__name__', rule)}: {value[:100]!r}")
        value = answer if isinstance(answer, str) else value
    return value


def _run_of(target: Any) -> Callable[..., Any]:
    """The function that is decorated: `run` of a class, or what is given."""
    function: Callable[..., Any] = target.run if isinstance(target, type) else target  # type: ignore[attr-defined]
    return function


def _put_back(target: F, function: Callable[..., Any]) -> F:
    if not isinstance(target, type):
        return function  # type: ignore[return-value]
    target.run = function  # type: ignore[attr-defined]
    return target
