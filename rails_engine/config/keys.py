"""Keys that the schema does not know.

A key within two edits of a known one is taken for a slip and refused. Another unknown key is the user's own at the
top level, where it goes to `custom_data`, and has no effect deeper down, where it draws a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from rails_engine.config.document import locate
from rails_engine.config.problems import KeyPath, Problem
from rails_engine.spelling import nearest


def unknown_keys(data: Any, schema: type[BaseModel]) -> list[Problem]:
    """A problem for each key of `data` that `schema` does not know."""
    return [
        _problem(data, key, schema_of)
        for key, schema_of in _unknown(data, (schema,), ())
        if _slip(key, schema_of) or len(key) > 1
    ]


def own_keys(data: dict[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    """The user's own top-level entries of `data`."""
    return {
        key: value
        for key, value in data.items()
        if key not in schema.model_fields and not _slip((key,), (schema,))
    }


def _slip(key: KeyPath, schemas: tuple[type[BaseModel], ...]) -> str | None:
    return nearest(str(key[-1]), _names(schemas))


def _names(schemas: tuple[type[BaseModel], ...]) -> set[str]:
    return {name for schema in schemas for name in schema.model_fields}


def _problem(data: Any, key: KeyPath, schemas: tuple[type[BaseModel], ...]) -> Problem:
    meant = _slip(key, schemas)
    place = locate(data, key)
    if meant:
        return Problem("error", f"unknown key; did you mean `{meant}`?", key, place)
    known = ", ".join(f"`{name}`" for name in sorted(_names(schemas)))
    return Problem("warning", f"unknown key, it has no effect; known here: {known}", key, place)


def _unknown(
    data: Any, schemas: tuple[type[BaseModel], ...], at: KeyPath
) -> Iterator[tuple[KeyPath, tuple[type[BaseModel], ...]]]:
    if not isinstance(data, dict) or not schemas:
        return
    open_ended = any(schema.model_config.get("extra") == "allow" for schema in schemas)
    for key, value in data.items():
        inner = [schema.model_fields[key].annotation for schema in schemas if key in schema.model_fields]
        if inner:
            yield from _inside(value, inner, (*at, key))
        elif not open_ended or _slip((key,), schemas):
            yield (*at, key), schemas


def _inside(
    value: Any, annotations: list[Any], at: KeyPath
) -> Iterator[tuple[KeyPath, tuple[type[BaseModel], ...]]]:
    if isinstance(value, list):
        items = _models(annotations, list)
        for index, item in enumerate(value):
            yield from _unknown(item, items, (*at, index))
        return
    named = _models(annotations, dict)
    if named and isinstance(value, dict):
        for key, item in value.items():
            yield from _unknown(item, named, (*at, key))
        return
    yield from _unknown(value, _models(annotations, None), at)


def _models(annotations: list[Any], container: type | None) -> tuple[type[BaseModel], ...]:
    """The models that stand bare (`container` None), as items of a list, or as values of a mapping."""
    found: list[type[BaseModel]] = []
    for annotation in annotations:
        for option in _options(annotation):
            origin = get_origin(option)
            if container is None and isinstance(option, type) and issubclass(option, BaseModel):
                found.append(option)
            elif container is not None and origin is container:
                found.extend(_models([get_args(option)[-1]], None))
    return tuple(found)


def _options(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation
