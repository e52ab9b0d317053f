"""What holds for an action that a rail runs: how long it may take, and whether its failure lets the text pass.

In Colang 1.0 the runtime says which rail is running, so this holds for every action of a rail. Under 2.x a rail is a
flow like any other, and it holds for the actions of the built-in rails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rails_engine.config import RailsConfig, parse_flow_ref

_TRIGGERED = {
    "triggered_input_rail": "input",
    "triggered_output_rail": "output",
    "triggered_retrieval_rail": "retrieval",
    "triggered_tool_output_rail": "tool_output",
    "triggered_tool_input_rail": "tool_input",
}
_OF_ACTION = {
    "self_check_input": "input",
    "self_check_output": "output",
    "self_check_facts": "output",
    "self_check_hallucination": "output",
    "content_safety_check_input": "input",
    "content_safety_check_output": "output",
    "topic_safety_check_input": "input",
    "llama_guard_check_input": "input",
    "llama_guard_check_output": "output",
    "jailbreak_detection_heuristics": "input",
    "jailbreak_detection_model": "input",
    "tool_call_validation": "tool_output",
    "tool_result_validation": "tool_input",
}
_WITH_SOURCE = (
    "detect_regex_pattern",
    "context_bloat_detection",
    "detect_sensitive_data",
    "mask_sensitive_data",
)
_NO_RAILS = ("retrieve_relevant_chunks", "generate_bot_message", "create_event")


@dataclass(frozen=True, slots=True)
class Limits:
    timeout_s: float
    allows_on_error: bool


def limits_of(
    action: str, arguments: Mapping[str, Any], context: Mapping[str, Any], config: RailsConfig
) -> Limits | None:
    """The limits of an action that a rail runs; None where no rail runs it."""
    if action in _NO_RAILS:
        return None
    for variable, direction in _TRIGGERED.items():
        rail = context.get(variable)
        if isinstance(rail, str) and rail:
            return _limits(config, direction, rail)
    direction = str(arguments.get("source")) if action in _WITH_SOURCE else _OF_ACTION.get(action, "")
    return _limits(config, direction, None) if direction in config.rails.directions() else None


def _limits(config: RailsConfig, direction: str, rail: str | None) -> Limits:
    own = config.rails.policies.get(parse_flow_ref(rail).name) if rail else None
    if own is not None:
        return Limits(own.timeout_s, own.on_error == "allow")
    rails = config.rails.directions()[direction]
    return Limits(rails.timeout_s, rails.allows_on_error)
