"""Model calls as `explain()` shows them."""

from rails_engine import ExplainInfo, LLMCallInfo, LLMCallSummary

__all__ = ["ExplainInfo", "LLMCallInfo", "LLMCallSummary"]
