"""A model that exists already, as a provider."""

from rails_engine.llm import get_llm_instance_wrapper

__all__ = ["get_llm_instance_wrapper"]
