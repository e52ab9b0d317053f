"""A configuration put together: program, actions, models, prompts, knowledge, engine, in one place.

Programs are the costly part and are shared: two configurations of the same text get the same one.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import colang
from colang import ImportPath, Program, Source
from rails_engine.actions import (
    ActionRegistry,
    ConfigModule,
    code_folders,
    discover_actions,
    load_config_modules,
)
from rails_engine.canonical import CanonicalActions, CanonicalRunner, Examples, Speech, canonical_program
from rails_engine.colang1 import Colang1
from rails_engine.colang2 import Colang2
from rails_engine.config import RailsConfig
from rails_engine.dialog import SYSTEM_ACTIONS
from rails_engine.effects import Effects
from rails_engine.engine import Engine
from rails_engine.import_path import import_path, imported_sources
from rails_engine.knowledge import Knowledge
from rails_engine.library import (
    COLANG_2,
    IMPORT_NAME,
    listed_rails,
    prepare_library,
    register_library,
    require_listed_flows,
    require_named_models,
)
from rails_engine.llm import LLM, create_models
from rails_engine.prompts import PromptLibrary
from rails_engine.registered import RegisteredActions
from rails_engine.services import Resources

PROGRAMS_KEPT = 64

MAIN = "main"
"""The type of the model that answers."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts of one `LLMRails`; `params` and `registry` grow as the caller registers."""

    resources: Resources
    registry: ActionRegistry
    registered: RegisteredActions
    params: dict[str, Any]
    modules: Sequence[ConfigModule]

    def set_param(self, name: str, value: Any) -> None:
        """Hand `value` to parameters of this name; a knowledge base (`kb`) is searched from now on too."""
        self.params[name] = value
        if name == "kb":
            self.resources.knowledge.own = value

    def with_main(self, llm: LLM) -> Assembly:
        """The same parts about another main model; registering goes on in both."""
        models = self.resources.models.replaced(MAIN, llm)
        resources = dataclasses.replace(self.resources, models=models)
        registered = RegisteredActions(self.registry, self.params, resources)
        return dataclasses.replace(self, resources=resources, registered=registered)


def assemble(config: RailsConfig, llm: LLM | None) -> Assembly:
    """Put together what both dialects need.

    Raises:
        ConfigurationError: a model, a prompt or code beside the configuration is at fault.
    """
    # A model that the caller gives stands for the configured one, which then need not exist here.
    entries = [entry for entry in config.models if llm is None or entry.type != MAIN]
    models = create_models(entries)
    resources = Resources(
        config,
        models if llm is None else models.replaced(MAIN, llm),
        PromptLibrary(config),
        Knowledge(config),
    )
    registry = ActionRegistry()
    register_library(registry)
    discover_actions(config, registry)
    prepare_library(config, registry)
    params: dict[str, Any] = {}
    registered = RegisteredActions(registry, params, resources)
    return Assembly(resources, registry, registered, params, load_config_modules(code_folders(config)))


def colang2(parts: Assembly) -> Colang2:
    """A Colang 2.x configuration, ready to answer.

    Raises:
        ColangError: the flows are at fault.
    """
    config = parts.resources.config
    program = program_of(config)
    for warning in program.warnings:
        log.warning("%s", warning)
    effects = Effects(parts.registered, SYSTEM_ACTIONS)
    return Colang2(Engine(program, effects, config.event_source_uid), parts.resources)


def colang1(parts: Assembly) -> tuple[Colang1, Speech]:
    """A Colang 1.0 configuration, ready to answer, and what it says where no intents are used.

    Raises:
        ColangError: the flows are at fault.
    """
    config = parts.resources.config
    program = canonical_program(config, _view(config))
    examples = Examples(program, parts.resources.knowledge)
    speech = Speech(examples)
    runner = CanonicalRunner(CanonicalActions(examples, speech), parts.registered)
    return Colang1(program, runner, parts.resources), speech


def _view(config: RailsConfig) -> dict[str, Any]:
    """What flows see of the configuration: all of it but its Colang files."""
    return config.model_dump(exclude={"sources"})


def program_of(config: RailsConfig) -> Program:
    """The program of a configuration; only `$system.config` differs between two of the same text.

    Raises:
        ColangError: the flows are at fault.
        InvalidRailsConfigurationError: a listed rail is no flow.
    """
    listed = listed_rails(config)
    sources = (*config.sources, listed) if listed else config.sources
    imports, path = tuple(config.import_paths or ()), import_path(config.config_path)
    program = _loaded(sources, imports, path.folders, imported_sources(imports, path))
    require_named_models(config, program.flows.values())
    if listed:
        require_listed_flows(config, program.flows)
    return dataclasses.replace(program, config=_view(config))


@lru_cache(maxsize=PROGRAMS_KEPT)
def _loaded(
    sources: tuple[Source, ...],
    imports: tuple[str, ...],
    folders: tuple[Path, ...],
    imported: tuple[Source, ...],
) -> Program:
    del imported  # a part of the key: a file that changed is read again
    path = ImportPath(folders, {IMPORT_NAME: COLANG_2})
    return colang.load(sources, imports=imports, path=path)
