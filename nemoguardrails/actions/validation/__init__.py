"""Decorators that hold an action's input and answer to rules."""

from rails_engine.actions import (
    contains_quotes,
    filter_secrets,
    ip_filter,
    is_default_resp,
    max_length,
    validate_input,
    validate_response,
)

__all__ = [
    "contains_quotes",
    "filter_secrets",
    "ip_filter",
    "is_default_resp",
    "max_length",
    "validate_input",
    "validate_response",
]
