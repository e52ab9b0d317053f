"""What of a caller's configuration goes on to the model and the chain behind the rails.

Tags, metadata and tracers do. Callback handlers of other kinds do not: what they are told as it comes they may show,
and no rail has judged it by then. `astream_events` and LangGraph's streams of messages are handlers of that kind, so
they see the step and what it lets out, and nothing of what is inside. A handler that shall see it can be given to the
model itself.
"""

from __future__ import annotations

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import patch_config, var_child_runnable_config
from langchain_core.tracers import BaseTracer
from langchain_core.tracers.base import AsyncBaseTracer


def seal(config: RunnableConfig) -> RunnableConfig:
    """The configuration for what is behind the rails, which also becomes that of all calls that this task makes."""
    manager = config.get("callbacks")
    if not isinstance(manager, BaseCallbackManager):
        return config
    inner = manager.copy()
    inner.handlers = [handler for handler in manager.handlers if _only_records(handler)]
    inner.inheritable_handlers = [each for each in manager.inheritable_handlers if _only_records(each)]
    sealed = patch_config(config, callbacks=inner)
    var_child_runnable_config.set(sealed)
    return sealed


def _only_records(handler: BaseCallbackHandler) -> bool:
    # What streams a run's pieces to a caller taps its iterators.
    return isinstance(handler, BaseTracer | AsyncBaseTracer) and not hasattr(handler, "tap_output_iter")
