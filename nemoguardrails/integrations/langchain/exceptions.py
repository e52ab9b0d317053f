"""What the middleware raises."""

from rails_engine.langchain import GuardrailViolation

__all__ = ["GuardrailViolation"]
