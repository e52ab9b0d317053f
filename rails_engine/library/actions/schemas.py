"""JSON held to a schema that need not be trusted: nothing is fetched, and patterns run in linear time.

Schemas of tools come from wherever the tools come from, other machines among them, and what is held to them is written
by a model. So a reference must stay within its schema, and patterns are those of RE2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import re2


class SchemaFaultError(ValueError):
    """A schema that nothing can be held to."""


def instance_fault(instance: Any, schema: Mapping[str, Any]) -> str | None:
    """The first thing in which `instance` does not fit a schema of draft 2020-12; None if it fits.

    Raises:
        SchemaFaultError: the schema is malformed, refers to what is not in it, or has a pattern outside of RE2.
    """
    from jsonschema.exceptions import SchemaError, UndefinedTypeCheck
    from referencing import Registry
    from referencing.exceptions import NoSuchResource, Unresolvable

    checker = _checker()
    try:
        checker.check_schema(schema)
        fault = next(iter(checker(schema, registry=Registry()).iter_errors(instance)), None)
    except SchemaError as error:
        raise SchemaFaultError(error.message) from error
    except (Unresolvable, NoSuchResource, UndefinedTypeCheck) as error:
        raise SchemaFaultError(f"{error}") from error
    except RecursionError as error:
        raise SchemaFaultError("it refers to itself without end") from error
    return fault.message if fault else None


@lru_cache(maxsize=1)
def _checker() -> Any:
    from jsonschema import Draft202012Validator, validators

    # The keywords of the package that search with Python's `re`; those behind `unevaluated…` would too.
    own = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "unevaluatedProperties": _unevaluated_properties,
    }
    extended: Any = validators
    return extended.extend(Draft202012Validator, own)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        raise SchemaFaultError(
            f"{pattern!r} is no pattern of RE2, without look-around and back-references"
        ) from error


def _occurs(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text.encode("utf-8", "replace")) is not None


def _pattern(_: Any, pattern: Any, instance: Any, __: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not _occurs(pattern, instance):
        yield _error(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _: Any) -> Iterator[Any]:
    for pattern, schema in patterns.items() if isinstance(instance, dict) else ():
        for name, value in instance.items():
            if _occurs(pattern, name):
                yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    for name, value in instance.items() if isinstance(instance, dict) else ():
        known = name in schema.get("properties", {})
        if known or any(_occurs(pattern, name) for pattern in schema.get("patternProperties", {})):
            continue
        if isinstance(allowed, dict):
            yield from validator.descend(value, allowed, path=name)
        elif not allowed:
            yield _error(f"Additional properties are not allowed ({name!r} was unexpected)")


def _unevaluated_properties(_: Any, __: Any, ___: Any, ____: Any) -> Iterator[Any]:
    raise SchemaFaultError("`unevaluatedProperties` is not supported; use `additionalProperties`")


def _error(message: str) -> Exception:
    from jsonschema.exceptions import ValidationError

    return ValidationError(message)
