"""Rails as middleware of LangChain's agents."""

from rails_engine.langchain import (
    GuardrailsMiddleware,
    GuardrailViolation,
    InputRailsMiddleware,
    OutputRailsMiddleware,
)

__all__ = ["GuardrailViolation", "GuardrailsMiddleware", "InputRailsMiddleware", "OutputRailsMiddleware"]
