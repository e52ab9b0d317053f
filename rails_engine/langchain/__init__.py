"""Guardrails inside LangChain: a `Runnable` that answers behind rails.

`messages` takes LangChain's messages apart and puts answers together; `forms` is the shape in which a caller asked, and
the same shape for the answer; `chain` is a chain in the main model's place, `sealing` says what of a caller's
configuration passes to the inside, and `runnable` is `RunnableRails`. LangChain's models as models of ours stand in
`rails_engine.llm`. This package needs `langchain_core`, an extra; nothing imports it but the public names.
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
