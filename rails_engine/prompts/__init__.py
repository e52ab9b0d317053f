"""Prompts: what a model is asked for each task, and how its answer is read.

A task has a name (`tasks`); its prompt comes from this package (`builtin/*.yml`), from `PROMPTS_DIR`, or from the
configuration, whichever fits the model best (`selection`). `library` fills it in with the turn's variables and keeps
it within its length by leaving out the oldest turns. `templates` compiles templates once, in a sandbox; `filters` and
`history` are what they can call to quote the conversation. `parsers` and `verdicts` read the answers, and `manager`
is the same library under the names that users' actions know.
"""

from rails_engine.prompts.filters import FILTERS
from rails_engine.prompts.history import conversation_to_events
from rails_engine.prompts.library import PromptLibrary, Rendered
from rails_engine.prompts.manager import LLMTaskManager
from rails_engine.prompts.parsers import PARSERS
from rails_engine.prompts.tasks import Task
from rails_engine.prompts.verdicts import is_content_safe

__all__ = [
    "FILTERS",
    "PARSERS",
    "LLMTaskManager",
    "PromptLibrary",
    "Rendered",
    "Task",
    "conversation_to_events",
    "is_content_safe",
]
