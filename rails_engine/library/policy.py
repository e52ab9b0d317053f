"""What holds for an action that a rail runs: how long it may take, and whether its failure lets the text pass.

The turn says for which rail an action runs, by the names of the flows that led to it: its own, then its caller's, and
so on. The first of these names in `rails.policies` decides; else the settings of the direction do. A flow that calls a
built-in rail by itself, where no direction is being guarded, is held to the direction of that rail's action.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from rails_engine.actions import Opaque, RailOutcome, to_plain
from rails_engine.config import RailsConfig
from rails_engine.config.schema import DIRECTIONS, ErrorPolicy, Rails
from rails_engine.naming import snake_to_camelcase
from rails_engine.scene import RunningRail

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
    "injection_detection": "output",
    "tool_call_validation": "tool_output",
    "tool_result_validation": "tool_input",
}
_WITH_SOURCE = frozenset(
    {"detect_regex_pattern", "context_bloat_detection", "detect_sensitive_data", "mask_sensitive_data"}
)
OF_LIBRARY: Final = _WITH_SOURCE | _OF_ACTION.keys()
"""Actions whose verdicts flows of the library read."""

PERMITTING: Final = frozenset({"self_check_input", "self_check_output"})
"""Actions that answered plainly with whether the text is allowed; flows written then read `if not $allowed`."""

_NO_RAILS = frozenset({"retrieve_relevant_chunks", "generate_bot_message", "create_event"})


REACHES: Mapping[str, int] = MappingProxyType({"mask sensitive data on output": 256})
"""Built-in rails that rewrite parts of answers: how long such a part may be, in characters, with what is around it."""


def reach_of(config: RailsConfig) -> int:
    """How much of the end of a streamed window stays held where rails rewrite, in characters; 0 for no rule of its own."""
    stated = config.rails.output.streaming.reach
    if stated is not None:
        return stated
    used = [*config.rails.output.flows, *(source.text for source in config.sources)]
    return max((reach for rail, reach in REACHES.items() if any(rail in text for text in used)), default=0)


def policy_of(
    action: str, arguments: Mapping[str, Any], rail: RunningRail | None, rails: Rails
) -> ErrorPolicy | None:
    """What holds for an action that a rail runs; None where no rail runs it."""
    direction = rail.direction if rail is not None else ""
    if not direction and action in OF_LIBRARY:
        direction = str(arguments.get("source")) if action in _WITH_SOURCE else _OF_ACTION[action]
    if direction not in DIRECTIONS or action in _NO_RAILS:
        return None
    if rails.policies and rail is not None:
        for flow in rail.flows:
            if flow in rails.policies:
                return rails.policies[flow]
    guarded: ErrorPolicy = getattr(rails, direction)
    return guarded


class Permission(dict[str, Any]):
    """A verdict that is also a truth, for flows that take it for the plain answer: false where it blocks."""

    def __bool__(self) -> bool:
        return not self["is_blocked"]


def is_read_by(config: RailsConfig, action: str) -> bool:
    """Whether a flow of the configuration's own asks an action of the library, and so reads whatever stands in for it."""
    names = action, snake_to_camelcase(action) + "Action"
    return any(name in source.text for source in config.sources for name in names)


def require_answer(value: Any, *, of_library: bool) -> None:
    """Hold a rail's action that gave no verdict to an answer that something follows from.

    What stands in for a built-in rail's action (`of_library`) answers with what the rail's flow reads; any other with
    what it likes, but for what is yet to be computed, an error, and a score that is no number: nothing follows from
    these.

    Raises:
        TypeError: it did not answer with a verdict.
        ValueError: it answered with NaN.
    """
    if isinstance(value, float) and math.isnan(value):
        raise ValueError("a rail's action answered with a score that is no number (NaN)")
    if isinstance(value, Opaque) and value.is_moot:
        raise TypeError(
            f"a rail's action answered with {type(value.value).__name__}, from which nothing follows"
        )
    if of_library and not (isinstance(value, Mapping) and isinstance(value.get("is_blocked"), bool)):
        raise TypeError(f"a rail's action answers with a RailOutcome, not with {type(value).__name__}")


ALLOWED = to_plain(RailOutcome.allow(reason="error"))
"""What the flow of a built-in rail reads where the rail could not judge and its policy lets the text pass."""

FAILED = to_plain(RailOutcome.failure(reason="error"))
"""The same where its policy does not."""
