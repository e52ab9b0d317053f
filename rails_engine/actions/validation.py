"""Decorators that hold an action's input and answer to simple rules, for actions that call services."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

MAX_LENGTH = 500
_QUOTES = "\"'"
_IP = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_SECRET = re.compile(
    r"(?i)\b(?:sk-[a-z0-9_-]{16,}|nvapi-[a-z0-9_-]{16,}|akia[0-9a-z]{16}|gh[pousr]_[a-z0-9]{30,}"
    r"|xox[abpr]-[a-z0-9-]{10,}|bearer\s+[a-z0-9._-]{20,})"
)


def validate_input(
    attribute: str, validators: Iterable[Callable[..., Any]] = (), **values: Any
) -> Callable[[type], type]:
    """Check the attribute named before `run` of the decorated class is called.

    Raises (from `run`):
        ValueError: the attribute is missing or a validator refuses it.
    """

    def decorate(cls: type) -> type:
        run = cls.run  # type: ignore[attr-defined]

        @functools.wraps(run)
        def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
            value = kwargs.get(attribute, getattr(self, attribute, args[0] if args else None))
            if value is None:
                raise ValueError(f"{attribute} is required")
            for validator in validators:
                _ask(validator, value, values)
            return run(self, *args, **kwargs)

        cls.run = checked  # type: ignore[attr-defined]
        return cls

    return decorate


def validate_response(validators: Iterable[Callable[..., Any]] = (), **values: Any) -> Callable[[F], F]:
    """Pass what the decorated function answers through validators, which may change or refuse it."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            result = await result if inspect.isawaitable(result) else result
            for validator in validators:
                changed = _ask(validator, result, values)
                result = changed if isinstance(changed, str) else result
            return result

        return checked  # type: ignore[return-value]

    return decorate


def _ask(validator: Callable[..., Any], value: Any, values: Mapping[str, Any]) -> Any:
    known = inspect.signature(validator).parameters
    answer = validator(value, **{name: item for name, item in values.items() if name in known})
    if answer is False:
        raise ValueError(f"refused by {getattr(validator, '__name__', validator)}: {str(value)[:100]!r}")
    return answer


def max_length(value: str, max_len: int = MAX_LENGTH) -> bool:
    """Fine where the text has at most `max_len` characters."""
    return len(value) <= max_len


def contains_quotes(value: str) -> bool:
    """Fine where there is no quotation mark."""
    return not any(quote in value for quote in _QUOTES)


def is_default_resp(value: str, default_responses: Collection[str] = ()) -> bool:
    """Fine where the answer is none of the service's stock answers."""
    return value.strip() not in default_responses


def ip_filter(value: str) -> str:
    """The text with IP addresses taken out."""
    return _IP.sub("", value)


def filter_secrets(value: str) -> str:
    """The text with what looks like an API key taken out."""
    return _SECRET.sub("", value)
