"""The built-in rails: Colang flows in both dialects, and the actions that they call.

`colang_1` has the flows of Colang 1.0, which every 1.0 configuration has loaded. `colang_2` has those of 2.x; a file
there is imported by its path, so that `import nemoguardrails.library.self_check.input_check` finds
`colang_2/self_check/input_check.co`, and `import nemoguardrails.library` brings them all. Names of flows, actions,
prompt tasks and exception events are public. `listed` turns rails that a 2.x configuration lists in YAML into flows.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rails_engine.actions import ActionRegistry
from rails_engine.config import RailsConfig
from rails_engine.library import actions
from rails_engine.library.listed import (
    listed_rails,
    require_listed_flows,
    require_named_models,
    skipped_rails,
)
from rails_engine.library.policy import (
    ALLOWED,
    FAILED,
    OF_LIBRARY,
    PERMITTING,
    Permission,
    is_read_by,
    policy_of,
    reach_of,
    require_answer,
)

COLANG_1 = Path(__file__).parent / "colang_1"
COLANG_2 = Path(__file__).parent / "colang_2"
IMPORT_NAME = "nemoguardrails.library"

ACTIONS: tuple[Callable[..., Any], ...] = (
    actions.content_safety_check_input,
    actions.content_safety_check_output,
    actions.context_bloat_detection,
    actions.detect_language,
    actions.detect_regex_pattern,
    actions.detect_sensitive_data,
    actions.injection_detection,
    actions.jailbreak_detection_heuristics,
    actions.jailbreak_detection_model,
    actions.llama_guard_check_input,
    actions.llama_guard_check_output,
    actions.mask_sensitive_data,
    actions.self_check_facts,
    actions.self_check_hallucination,
    actions.self_check_input,
    actions.self_check_output,
    actions.tool_call_validation,
    actions.tool_result_validation,
    actions.topic_safety_check_input,
)


_EVERYDAY: tuple[Callable[..., Any], ...] = (actions.current_date_time, actions.wolfram_alpha_request)


def register_library(registry: ActionRegistry) -> None:
    """Register the actions of every built-in rail, and those that are no rails."""
    for function in (*ACTIONS, *_EVERYDAY):
        registry.register(function)


def prepare_library(config: RailsConfig, registry: ActionRegistry) -> None:
    """Build what the configured rails need, so that the first message finds them ready.

    Raises:
        InvalidRailsConfigurationError: a rule or an entity that a rail looks for does not exist.
    """
    if _is_ours(registry, actions.injection_detection):
        actions.require_rules(config)
    if _is_ours(registry, actions.detect_sensitive_data) or _is_ours(registry, actions.mask_sensitive_data):
        actions.prepare_analyzer(config)


def _is_ours(registry: ActionRegistry, function: Callable[..., Any]) -> bool:
    found = registry.get(function.__name__)
    return found is not None and found.target is function


__all__ = [
    "ACTIONS",
    "ALLOWED",
    "COLANG_1",
    "COLANG_2",
    "FAILED",
    "IMPORT_NAME",
    "OF_LIBRARY",
    "PERMITTING",
    "Permission",
    "is_read_by",
    "listed_rails",
    "policy_of",
    "prepare_library",
    "reach_of",
    "register_library",
    "require_answer",
    "require_listed_flows",
    "require_named_models",
    "skipped_rails",
]
