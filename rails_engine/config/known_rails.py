"""The rails that are known by name, and what each asks for: facts that the checks and the turn read, in one place.

Not all of them are built in; a configuration may list the others with flows and actions of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rails_engine.config.flow_refs import parse_flow_ref

PROMPT_OF_RAIL: Final[Mapping[str, str]] = MappingProxyType(
    {
        "self check input": "self_check_input",
        "self check output": "self_check_output",
        "self check facts": "self_check_facts",
        "llama guard check input": "llama_guard_check_input",
        "llama guard check output": "llama_guard_check_output",
        "content safety check input": "content_safety_check_input",
        "content safety check output": "content_safety_check_output",
        "topic safety check input": "topic_safety_check_input",
        "patronus lynx check output hallucination": "patronus_lynx_check_output_hallucination",
    }
)
"""Rails that ask a model, each with the task of the prompt that the configuration must have."""

NEEDS_MODEL: Final = frozenset(
    {"content safety check input", "content safety check output", "topic safety check input"}
)
"""Those that must be told which model."""

REWRITES_OUTPUT: Final = frozenset(
    {
        "mask sensitive data on output",
        "mask pii on output",
        "gliner mask pii on output",
        "polygraf mask pii on output",
        "injection detection",
        "autoalign check output",
        "crowdstrike aidr guard output",
        "pangea ai guard output",
        "protect response",
    }
)
"""Rails that rewrite what the bot says."""

_ASKS_WITHOUT_PROMPT: Final = frozenset(
    {"jailbreak detection heuristics", "jailbreak detection model", "self check hallucination"}
)
_ASKS_ELSEWHERE: Final = PROMPT_OF_RAIL.keys() | _ASKS_WITHOUT_PROMPT


def asks_elsewhere(reference: str) -> bool:
    """Whether a rail, as the configuration names it, is a known one that asks a model or a server.

    Raises:
        ValueError: its parameters cannot be read.
    """
    return parse_flow_ref(reference).name in _ASKS_ELSEWHERE
