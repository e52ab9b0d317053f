"""The steps of a Colang 1.0 dialog, as `rails.llm_generation_actions` gives them."""

from rails_engine import LLMGenerationActions

__all__ = ["LLMGenerationActions"]
