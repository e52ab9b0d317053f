"""Reading what a model wrote."""

from rails_engine.prompts import get_multiline_response, remove_action_intent_identifiers, strip_quotes

__all__ = ["get_multiline_response", "remove_action_intent_identifiers", "strip_quotes"]
