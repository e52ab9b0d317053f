"""`Guardrails` under its older path."""

from rails_engine import (
    Guardrails,
)

__all__ = ["Guardrails"]
