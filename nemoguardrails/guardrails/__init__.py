"""Rails with a life: started, shut down, or used as an asynchronous context."""

from rails_engine import (
    Guardrails,
    configure_logging,
)

__all__ = ["Guardrails", "configure_logging"]
