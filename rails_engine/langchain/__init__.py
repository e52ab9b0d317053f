"""Guardrails inside LangChain: a `Runnable` that answers behind rails, and middleware for its LLM agents.

`messages` takes LangChain's messages apart and puts answers together; `forms` is the shape in which a caller asked, and
the same shape for the answer; `runnable` is `RunnableRails`. LangChain's models as models of ours are older and stand
in `rails_engine.llm`. This package alone imports `langchain_core`, an extra; nothing else imports this package but the
public names.
"""

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise ImportError(
        "this needs langchain-core, which is not installed: pip install 'interlock-rails[langchain]'"
    ) from error

from rails_engine.langchain.runnable import RunnableRails

del _langchain_core

__all__ = ["RunnableRails"]
