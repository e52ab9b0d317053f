"""The context variables of the current call."""

from rails_engine import (
    explain_info_var,
    generation_options_var,
    llm_call_info_var,
    llm_response_metadata_var,
    llm_stats_var,
    raw_llm_request,
    reasoning_trace_var,
    streaming_handler_var,
    tool_calls_var,
)

__all__ = [
    "explain_info_var",
    "generation_options_var",
    "llm_call_info_var",
    "llm_response_metadata_var",
    "llm_stats_var",
    "raw_llm_request",
    "reasoning_trace_var",
    "streaming_handler_var",
    "tool_calls_var",
]
