"""Prompts: what a model is asked for each task, and how its answer is read.

A task has a name (`Task` lists ours); its prompt comes from this package (`builtin/*.yml`), from `PROMPTS_DIR`, or
from the configuration, whichever fits the model best (`selection`). `library` fills it in with the turn's variables
and keeps it within its length by leaving out the oldest turns. `templates` compiles templates once, in a sandbox;
`filters` and `history` are what they can call to quote the conversation. `parsers` and `verdicts` read the answers,
and `manager` is the same library under the names that users' actions know. `answers` has small readers that those
actions use.
"""

from rails_engine.config import Task
from rails_engine.prompts.answers import (
    escape_flow_name,
    extract_bot_thinking_from_events,
    extract_tool_calls_from_events,
    from_log_event_to_identifier,
    get_colang_history,
    get_first_bot_action,
    get_first_bot_intent,
    get_first_nonempty_line,
    get_first_user_intent,
    get_initial_actions,
    get_last_bot_intent_event,
    get_last_bot_utterance_event,
    get_last_user_intent_event,
    get_last_user_utterance,
    get_last_user_utterance_event,
    get_last_user_utterance_event_v2_x,
    get_multiline_response,
    get_retrieved_relevant_chunks,
    get_top_k_nonempty_lines,
    remove_action_intent_identifiers,
    remove_text_messages_from_history,
    strip_quotes,
)
from rails_engine.prompts.filters import FILTERS
from rails_engine.prompts.history import (
    HIDDEN,
    History,
    Quoted,
    conversation_to_events,
)
from rails_engine.prompts.library import PromptLibrary, Rendered
from rails_engine.prompts.manager import LLMTaskManager, get_prompt, get_task_model
from rails_engine.prompts.parsers import (
    PARSERS,
    bot_intent_parser,
    bot_message_parser,
    user_intent_parser,
    verbose_v1_parser,
)
from rails_engine.prompts.verdicts import (
    NoVerdict,
    is_content_safe,
    nemoguard_parse_prompt_safety,
    nemoguard_parse_response_safety,
    nemotron_content_safety_parse_prompt_safety,
    nemotron_content_safety_parse_response_safety,
    nemotron_reasoning_parse_prompt_safety,
    nemotron_reasoning_parse_response_safety,
)

__all__ = [
    "FILTERS",
    "HIDDEN",
    "PARSERS",
    "History",
    "LLMTaskManager",
    "NoVerdict",
    "PromptLibrary",
    "Quoted",
    "Rendered",
    "Task",
    "bot_intent_parser",
    "bot_message_parser",
    "conversation_to_events",
    "escape_flow_name",
    "extract_bot_thinking_from_events",
    "extract_tool_calls_from_events",
    "from_log_event_to_identifier",
    "get_colang_history",
    "get_first_bot_action",
    "get_first_bot_intent",
    "get_first_nonempty_line",
    "get_first_user_intent",
    "get_initial_actions",
    "get_last_bot_intent_event",
    "get_last_bot_utterance_event",
    "get_last_user_intent_event",
    "get_last_user_utterance",
    "get_last_user_utterance_event",
    "get_last_user_utterance_event_v2_x",
    "get_multiline_response",
    "get_prompt",
    "get_retrieved_relevant_chunks",
    "get_task_model",
    "get_top_k_nonempty_lines",
    "is_content_safe",
    "nemoguard_parse_prompt_safety",
    "nemoguard_parse_response_safety",
    "nemotron_content_safety_parse_prompt_safety",
    "nemotron_content_safety_parse_response_safety",
    "nemotron_reasoning_parse_prompt_safety",
    "nemotron_reasoning_parse_response_safety",
    "remove_action_intent_identifiers",
    "remove_text_messages_from_history",
    "strip_quotes",
    "user_intent_parser",
    "verbose_v1_parser",
]
