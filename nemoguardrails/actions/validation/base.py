"""The decorators that check what goes into an action and what comes out of it."""

from rails_engine.actions import validate_input, validate_response

__all__ = ["validate_input", "validate_response"]
