"""Guardrails inside LangChain: a `Runnable` that answers behind rails, and middleware for its LLM agents.

`messages` takes LangChain's messages apart and puts answers together; `forms` is the shape in which a caller asked, and
the same shape for the answer; `chain` is a chain in the main model's place, `sealing` says what of a caller's
configuration passes to the inside, and `runnable` is `RunnableRails`. `middleware` has the rails of an agent's model: it
alone needs the package `langchain`, and is loaded when it is first asked for. LangChain's models as models of ours stand
in `rails_engine.llm`. This package needs `langchain_core`, an extra; nothing imports it but the public names.
"""

from typing import TYPE_CHECKING, Any

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise ImportError(
        "this needs langchain-core, which is not installed: pip install 'interlock-rails[langchain]'"
    ) from error

from rails_engine.langchain.runnable import RunnableRails

if TYPE_CHECKING:
    from rails_engine.langchain.middleware import (
        GuardrailsMiddleware,
        GuardrailViolation,
        InputRailsMiddleware,
        OutputRailsMiddleware,
    )

del _langchain_core

__all__ = [
    "GuardrailViolation",
    "GuardrailsMiddleware",
    "InputRailsMiddleware",
    "OutputRailsMiddleware",
    "RunnableRails",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from rails_engine.langchain import middleware
    except ImportError as error:
        raise ImportError(
            "this needs langchain 1.0 or later, which is not installed: pip install 'interlock-rails[agents]'"
        ) from error
    return getattr(middleware, name)
