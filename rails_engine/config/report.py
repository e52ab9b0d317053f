"""Every problem of a draft, each with the place it comes from."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from rails_engine.config.checks import faults
from rails_engine.config.document import locate, plain
from rails_engine.config.keys import unknown_keys
from rails_engine.config.loading import Draft
from rails_engine.config.outline import ONE, spoken
from rails_engine.config.problems import KeyPath, Place, Problem
from rails_engine.config.schema import ConfigData
from rails_engine.config.wording import worded

_log = logging.getLogger(__name__)
_Config = TypeVar("_Config", bound=ConfigData)


def problems_of(schema: type[_Config], draft: Draft) -> tuple[_Config | None, list[Problem]]:
    """`draft` read by `schema`, and all that is wrong or odd; None where its values cannot be read."""
    problems = [*draft.problems, *unknown_keys(draft.data, ConfigData), *_other_dialect(draft)]
    try:
        data = {"docs": [], "prompts": [], **plain(draft.data)}
        config = schema.model_validate(data, context={"loading": True})
    except ValidationError as error:
        return None, [*problems, *_of_validation(error, draft)]
    found = [replace(problem, place=locate(draft.data, problem.key)) for problem in faults(config)]
    return config, [*problems, *found]


def _other_dialect(draft: Draft) -> list[Problem]:
    """Files that this configuration does not speak: skipped with a warning, unless there are no others."""
    version = str(draft.data.get("colang_version", ONE))
    wrong = [source for source in draft.sources if spoken(source) not in (version, None)]
    if not wrong:
        return []
    if len(wrong) < len(draft.sources):
        message = f"this is Colang {spoken(wrong[0])} and is skipped, since colang_version is {version}"
        return [Problem("warning", message, place=Place(source.name, 1, 1)) for source in wrong]
    other = spoken(wrong[0])
    names = ", ".join(source.name for source in wrong[:3])
    message = f'every Colang file is {other} ({names}); set `colang_version: "{other}"`'
    place = locate(draft.data, ("colang_version",)) or Place(wrong[0].name, 1, 1)
    return [Problem("error", message, ("colang_version",), place)]


def _of_validation(error: ValidationError, draft: Draft) -> Iterable[Problem]:
    for detail in error.errors(include_url=False):
        key = _schema_free(detail["loc"], draft.data)
        if detail["type"] == "missing":
            key = key[:-1]
        yield Problem("error", worded(detail), key, locate(draft.data, key))


def _schema_free(location: KeyPath, data: Any) -> KeyPath:
    """A location without the tags of union members, which are no keys of the user's."""
    key: list[str | int] = []
    for number, part in enumerate(location):
        is_last = number == len(location) - 1
        is_item = isinstance(data, list) and isinstance(part, int)
        if not (is_item or (isinstance(data, dict) and (part in data or is_last))):
            continue
        key.append(part)
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
    return tuple(key)


def log_warnings(problems: Iterable[Problem]) -> None:
    """Write the warnings among `problems` to the log; errors are raised elsewhere."""
    for problem in problems:
        if problem.severity == "warning":
            _log.warning("%s", problem)
