"""Configurations: from folders, YAML, Colang sources and mappings to one checked `RailsConfig`.

`folder` finds the files, `document` reads YAML and remembers the place of every value, `merge` lays files, imports
and whole configurations over one another, `loading` drives the three and yields a draft. `keys` looks for keys that
the `schema` does not know, the schema reads the values, and `checks` asks what must hold between the parts
(`known_rails` has what rails with a name of their own need); `report` gathers what all of them find, so that an
author sees every problem at once, each with file, line and column. Colang is held as text here; `colang.load` makes a
program of it, and Python beside the configuration is run by the engine. The names of all sections are at the door of
`rails_engine.config.schema`.
"""

from rails_engine.config.config import RailsConfig
from rails_engine.config.flow_refs import FlowRef, parse_flow_ref
from rails_engine.config.imports import search_path
from rails_engine.config.known_rails import asks_elsewhere
from rails_engine.config.outline import imports_of
from rails_engine.config.parsing import parse_colang_file
from rails_engine.config.problems import ConfigProblemsError, Place, Problem
from rails_engine.config.schema import Document, Instruction, MessageTemplate, Model, TaskPrompt
from rails_engine.config.tasks import Task

__all__ = [
    "ConfigProblemsError",
    "Document",
    "FlowRef",
    "Instruction",
    "MessageTemplate",
    "Model",
    "Place",
    "Problem",
    "RailsConfig",
    "Task",
    "TaskPrompt",
    "asks_elsewhere",
    "imports_of",
    "parse_colang_file",
    "parse_flow_ref",
    "search_path",
]
