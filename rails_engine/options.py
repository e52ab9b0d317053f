"""What a caller may ask of one request."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, Field, model_validator

RailChoice: TypeAlias = bool | list[str]

log = logging.getLogger(__name__)


class GenerationRailsOptions(BaseModel):
    """Which rails run: all, none, or the named ones."""

    input: RailChoice = True
    output: RailChoice = True
    retrieval: RailChoice = True
    dialog: bool = True
    tool_output: RailChoice = True
    tool_input: RailChoice = True


class GenerationLogOptions(BaseModel):
    """Which parts of the log come back with the answer."""

    activated_rails: bool = False
    llm_calls: bool = False
    internal_events: bool = False
    colang_history: bool = False
    redacted: bool = Field(
        default=False,
        description="Leave out all texts, of refused answers too: for callers who serve others (see `redaction`).",
    )

    @property
    def wanted(self) -> bool:
        """True if any part of the log is to come back."""
        return self.activated_rails or self.llm_calls or self.internal_events or self.colang_history


class GenerationOptions(BaseModel):
    """The `options` of `generate`; `rails` may also be a list of the kinds that shall run.

    `llm_output` gives the last model call under Colang 2.x, and nothing under 1.0.
    """

    rails: GenerationRailsOptions = Field(default_factory=GenerationRailsOptions)
    llm_params: dict[str, Any] | None = None
    llm_output: bool = False
    output_vars: bool | list[str] | None = None
    log: GenerationLogOptions = Field(default_factory=GenerationLogOptions)

    @model_validator(mode="before")
    @classmethod
    def expand_list(cls, values: Any) -> Any:
        """`rails: [input, output]` runs these kinds and no others."""
        rails = values.get("rails") if isinstance(values, Mapping) else None
        kinds = GenerationRailsOptions.model_fields
        if isinstance(rails, list | Mapping):
            unknown = [str(name) for name in rails if name not in kinds]
            if unknown:
                raise ValueError(f"there are no {unknown[0]!r} rails; the kinds are {', '.join(kinds)}")
        return (
            {**values, "rails": {kind: kind in rails for kind in kinds}}
            if isinstance(rails, list)
            else values
        )


DEFAULT_OPTIONS: Final = GenerationOptions()
"""What a request without options asks for."""


class RailType(str, Enum):  # noqa: UP042 - users compare members with plain text and print them
    """The kinds of rails that `check` can be limited to."""

    INPUT = "input"
    OUTPUT = "output"


class RailStatus(str, Enum):  # noqa: UP042 - as RailType
    """What `check` found."""

    PASSED = "passed"
    MODIFIED = "modified"
    BLOCKED = "blocked"


class RailsResult(BaseModel):
    """The answer of `check`: the text as it may be used, and the rail that blocked it."""

    status: RailStatus
    content: str
    rail: str | None = None


def read_options(options: GenerationOptions | Mapping[str, Any] | None) -> GenerationOptions | None:
    """The caller's options, checked.

    Raises:
        TypeError: no mapping.
        ValueError: a field of the wrong type (pydantic's ValidationError).
    """
    if options is None or isinstance(options, GenerationOptions):
        return options
    if not isinstance(options, Mapping):
        raise TypeError(f"options must be a mapping or GenerationOptions, not {type(options).__name__}")
    for name in options:
        if name not in GenerationOptions.model_fields:
            log.warning("options have no field %r; it has no effect", name)
    return GenerationOptions.model_validate(dict(options))
