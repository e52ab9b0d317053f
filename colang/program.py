"""What `load` makes of sources: flows ready to run, shared by every conversation and never changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from colang import tree
from colang.errors import ColangLoadError, ColangMainError
from colang.expressions import FUNCTIONS
from colang.imports import LIBRARY, ImportPath
from colang.instructions import EventForm, FlowCode, Match
from colang.loader import first_error, load_files
from colang.lowering import docstring_of, lower_flow, meta_of
from colang.problems import Problem
from colang.resolve import resolve
from colang.source import Source, Span

_NOTHING: Mapping[str, Any] = MappingProxyType({})
MAIN = "main"


@dataclass(frozen=True, slots=True)
class FlowInfo:
    """A flow as prompts and tools see it."""

    name: str
    text: str
    docstring: str | None
    parameters: tuple[str, ...]
    meta: Mapping[str, Any]
    excluded: bool
    """True where the flow's file, or `@meta(llm_exclude=True)`, keeps it out of prompts."""
    tree: tree.Flow = field(repr=False)

    @property
    def span(self) -> Span:
        """Where the flow stands in its source."""
        return self.tree.span

    @property
    def is_of_library(self) -> bool:
        """True for a flow of the standard library."""
        return Path(self.span.source).parent == LIBRARY


@dataclass(frozen=True, slots=True)
class Program:
    """A loaded program; `config` is what `$system.config` shows."""

    flows: Mapping[str, FlowInfo]
    code: Mapping[str, FlowCode] = field(repr=False)
    config: Mapping[str, Any] = field(default_factory=lambda: _NOTHING, repr=False)
    errors: tuple[ColangLoadError, ...] = ()
    """Flows that cannot be lowered. They are raised when a conversation begins, not when the program is loaded."""
    warnings: tuple[Problem, ...] = ()
    """What most likely is not meant in the files that were given, as `check` tells it."""
    unhandled: frozenset[str] | None = frozenset()
    """Names of events whose UnhandledEvent some flow waits for; None if that cannot be told."""
    fingerprint: str = ""
    """Changes with the flows: a saved state belongs to one program."""


def load(
    sources: Iterable[Source],
    *,
    imports: Iterable[str] = (),
    path: ImportPath | None = None,
    config: Mapping[str, Any] = _NOTHING,
) -> Program:
    """Read, import, check and lower `sources`; `imports` are paths to import besides those in the sources.

    Raises:
        ColangSyntaxError: a file cannot be read.
        ColangLoadError: duplicate flows, a bad override, an import that does not resolve.
    """
    given = list(sources)
    loaded = load_files(given, imports, path)
    error = first_error(loaded)
    if error is not None:
        raise error
    resolution = resolve(loaded.files, FUNCTIONS, {source.name for source in given})
    if resolution.errors:
        raise resolution.errors[0]
    return replace(program_of(resolution.flows, config), warnings=resolution.warnings)


def program_of(table: Mapping[str, tree.Flow], config: Mapping[str, Any] = _NOTHING) -> Program:
    """Lower a flow table."""
    code: dict[str, FlowCode] = {}
    problems: list[ColangLoadError] = []
    for name, flow in table.items():
        try:
            code[name] = lower_flow(flow)
        except ColangLoadError as error:
            problems.append(error)
    if MAIN not in table:
        problems.append(ColangMainError("there is no flow `main`: a program starts there"))
    return Program(
        flows={name: flow_info(flow) for name, flow in table.items()},
        code=code,
        config=config,
        errors=tuple(problems),
        unhandled=unhandled_names(code.values()),
        fingerprint=_fingerprint(table.values()),
    )


def flow_info(flow: tree.Flow) -> FlowInfo:
    """A flow as prompts and tools see it."""
    meta = meta_of(flow)
    return FlowInfo(
        name=flow.name,
        text=flow.text,
        docstring=docstring_of(flow),
        parameters=tuple(parameter.name for parameter in flow.parameters),
        meta=meta,
        excluded=flow.excluded or bool(meta.get("llm_exclude")),
        tree=flow,
    )


def unhandled_names(codes: Iterable[FlowCode]) -> frozenset[str] | None:
    """The events whose going unhandled is waited for: so that others need not be reported."""
    names: set[str] = set()
    for code in codes:
        for instruction in code.code:
            if isinstance(instruction, Match) and isinstance(instruction.form, EventForm):
                form = instruction.form
                if form.name == "UnhandledEvent":
                    if form.event_name is None:
                        return None
                    names.add(form.event_name)
    return frozenset(names)


def _fingerprint(flows: Iterable[tree.Flow]) -> str:
    digest = hashlib.sha256()
    for flow in flows:
        digest.update(f"{flow.name}\0{flow.text}\0".encode())
    return digest.hexdigest()[:32]
