"""The program of a Colang 1.0 configuration: its own flows, those of the rails library, and the system's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from colang import Dialect, Source, dialect_of
from colang.v1 import Definitions, FlowCode, Program, definitions_of, flows_of_yaml, make_program
from rails_engine.config import RailsConfig, parse_flow_ref
from rails_engine.library import COLANG_1, require_listed_flows

SYSTEM = Path(__file__).parent / "system.co"
KEPT = 64


def canonical_program(config: RailsConfig, view: Mapping[str, Any]) -> Program:
    """The flows that may decide, in their order: the configuration's, the library's, then the system's.

    `view` is what `$config` shows.

    Raises:
        ColangSyntaxError: a file cannot be read.
        ColangLoadError: a flow cannot be lowered.
        InvalidRailsConfigurationError: a listed rail is no flow.
    """
    own = _own(config.sources)
    flows = {flow.name: flow for flow in own.flows}
    flows |= {flow.name: flow for flow in _of_yaml(config)}
    system = [flow for flow in system_definitions().flows if flow.name not in flows]
    require_listed_flows(config, [*flows, *(flow.name for flow in system)])
    rails = {name for flows_of in _listed(config) for name in flows_of}
    ordered = [_as_rail(flow) if flow.name in rails else flow for flow in (*flows.values(), *system)]
    users = {name: tuple(texts) for name, texts in config.user_messages.items()}
    bots = {name: tuple(texts) for name, texts in config.bot_messages.items()}
    return make_program(ordered, users, {**system_definitions().bot_messages, **bots}, view)


@lru_cache(maxsize=KEPT)
def _own(sources: tuple[Source, ...]) -> Definitions:
    return definitions_of([source for source in sources if dialect_of(source.text) is Dialect.ONE])


def is_own(config: RailsConfig, flow: str) -> bool:
    """True for a flow that the configuration defines, and not the library."""
    return any(flow == code.name for code in (*_own(config.sources).flows, *_of_yaml(config)))


def _of_yaml(config: RailsConfig) -> tuple[FlowCode, ...]:
    return flows_of_yaml(config.yaml_flows) if config.yaml_flows else ()


def _listed(config: RailsConfig) -> Iterable[list[str]]:
    rails = config.rails
    for direction in (rails.input, rails.output, rails.retrieval, rails.tool_input, rails.tool_output):
        yield [parse_flow_ref(reference).name for reference in direction.flows]


def _as_rail(flow: FlowCode) -> FlowCode:
    return replace(flow, is_subflow=True, is_system=True)


def makes_turns(flow: FlowCode) -> bool:
    """True for a flow that the system makes turns of, and that nobody has replaced."""
    return any(flow is each for each in _turn())


def is_turn_as_it_is(program: Program) -> bool:
    """Whether a configuration has left the flows alone that the system makes turns of."""
    return all(program.flows.get(flow.name) is flow for flow in _turn())


@cache
def _turn() -> tuple[FlowCode, ...]:
    return tuple(replace(flow, is_system=True) for flow in definitions_of([_source(SYSTEM)]).flows)


@cache
def system_definitions() -> Definitions:
    """What every configuration has: the rails library and the turn itself. Prompts do not show their flows."""
    found = definitions_of(map(_source, sorted(COLANG_1.rglob("*.co"))))
    return replace(found, flows=(*(replace(flow, is_system=True) for flow in found.flows), *_turn()))


def _source(file: Path) -> Source:
    return Source(str(file), file.read_text(encoding="utf-8"))
