"""A conversation as JSON text and back."""

from rails_engine import State
from rails_engine import from_json as json_to_state
from rails_engine import to_json as state_to_json

__all__ = ["State", "json_to_state", "state_to_json"]
