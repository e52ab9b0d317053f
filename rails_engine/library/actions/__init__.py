"""The actions of the built-in rails. Each answers with a verdict and raises where it cannot judge, which blocks.

A rail that asks a model goes through `asking`: the prompt of its task, the model of its type, the answer through the
prompt's parser. `regex`, `context_bloat` and `tools` are plain Python, `injection` and
`sensitive_data` need packages of their own, `jailbreak` calls an endpoint or measures with a function of the caller's.
`everyday` has actions that are no rails.
"""

from rails_engine.library.actions.content_safety import (
    content_safety_check_input,
    content_safety_check_output,
    detect_language,
)
from rails_engine.library.actions.context_bloat import context_bloat_detection
from rails_engine.library.actions.endpoints import EndpointError, post_json
from rails_engine.library.actions.everyday import current_date_time, wolfram_alpha_request
from rails_engine.library.actions.injection import injection_detection, require_rules
from rails_engine.library.actions.jailbreak import jailbreak_detection_heuristics, jailbreak_detection_model
from rails_engine.library.actions.llama_guard import llama_guard_check_input, llama_guard_check_output
from rails_engine.library.actions.regex import detect_regex_pattern
from rails_engine.library.actions.self_check import (
    self_check_facts,
    self_check_hallucination,
    self_check_input,
    self_check_output,
)
from rails_engine.library.actions.sensitive_data import (
    detect_sensitive_data,
    mask_sensitive_data,
    prepare_analyzer,
)
from rails_engine.library.actions.tools import tool_call_validation, tool_result_validation
from rails_engine.library.actions.topic_safety import topic_safety_check_input

__all__ = [
    "EndpointError",
    "content_safety_check_input",
    "content_safety_check_output",
    "context_bloat_detection",
    "current_date_time",
    "detect_language",
    "detect_regex_pattern",
    "detect_sensitive_data",
    "injection_detection",
    "jailbreak_detection_heuristics",
    "jailbreak_detection_model",
    "llama_guard_check_input",
    "llama_guard_check_output",
    "mask_sensitive_data",
    "post_json",
    "prepare_analyzer",
    "require_rules",
    "self_check_facts",
    "self_check_hallucination",
    "self_check_input",
    "self_check_output",
    "tool_call_validation",
    "tool_result_validation",
    "topic_safety_check_input",
    "wolfram_alpha_request",
]
