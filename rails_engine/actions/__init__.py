"""Actions: Python functions that flows call by name.

Authors mark a function, method or class with `@action` (`decorator`) and answer with a value, an `ActionResult`, or,
for a rail, a `RailOutcome` (`outcome`). `discovery` loads the files beside a configuration into a registry, where
Colang's spellings of a name meet (`registry`). `running` calls an action with the flow's arguments and with whatever
else it names (`context`, `llm`, `config` …), off the event loop if it is a plain function, within a time limit, and
makes its result plain data (`plain`). `basic` has two of the runtime's own for authors to build on, `validation` has
decorators for authors, and `remote` is the client of an actions server.
"""

from rails_engine.actions.basic import create_event, retrieve_relevant_chunks
from rails_engine.actions.decorator import ActionMeta, ActionResult, action
from rails_engine.actions.discovery import ConfigModule, code_folders, discover_actions, load_config_modules
from rails_engine.actions.dispatcher import ActionDispatcher
from rails_engine.actions.outcome import (
    RailDecision,
    RailOutcome,
    TransformSpec,
    TransformTarget,
    require_rail_outcome,
)
from rails_engine.actions.plain import Opaque, public_value, to_plain, unwrapped
from rails_engine.actions.registry import Action, ActionRegistry, spelling
from rails_engine.actions.remote import ActionsServer
from rails_engine.actions.running import ActionOutput, ActionRunner, arguments_of, output_of
from rails_engine.actions.validation import (
    contains_quotes,
    filter_secrets,
    ip_filter,
    is_default_resp,
    max_length,
    validate_input,
    validate_response,
)

__all__ = [
    "Action",
    "ActionDispatcher",
    "ActionMeta",
    "ActionOutput",
    "ActionRegistry",
    "ActionResult",
    "ActionRunner",
    "ActionsServer",
    "ConfigModule",
    "Opaque",
    "RailDecision",
    "RailOutcome",
    "TransformSpec",
    "TransformTarget",
    "action",
    "arguments_of",
    "code_folders",
    "contains_quotes",
    "create_event",
    "discover_actions",
    "filter_secrets",
    "ip_filter",
    "is_default_resp",
    "load_config_modules",
    "max_length",
    "output_of",
    "public_value",
    "require_rail_outcome",
    "retrieve_relevant_chunks",
    "spelling",
    "to_plain",
    "unwrapped",
    "validate_input",
    "validate_response",
]
