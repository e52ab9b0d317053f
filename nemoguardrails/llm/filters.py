"""The filters that prompt templates name."""

from rails_engine.prompts import FILTERS, conversation_to_events

co_v2 = FILTERS["co_v2"]
colang = FILTERS["colang"]
colang_without_identifiers = FILTERS["colang_without_identifiers"]
first_turns = FILTERS["first_turns"]
indent = FILTERS["indent"]
last_turns = FILTERS["last_turns"]
remove_text_messages = FILTERS["remove_text_messages"]
to_chat_messages = FILTERS["to_chat_messages"]
to_intent_messages = FILTERS["to_intent_messages"]
to_intent_messages_2 = FILTERS["to_intent_messages_2"]
to_messages = FILTERS["to_messages"]
to_messages_v2 = FILTERS["to_messages_v2"]
user_assistant_sequence = FILTERS["user_assistant_sequence"]
verbose_v1 = FILTERS["verbose_v1"]

__all__ = [
    "co_v2",
    "colang",
    "colang_without_identifiers",
    "conversation_to_events",
    "first_turns",
    "indent",
    "last_turns",
    "remove_text_messages",
    "to_chat_messages",
    "to_intent_messages",
    "to_intent_messages_2",
    "to_messages",
    "to_messages_v2",
    "user_assistant_sequence",
    "verbose_v1",
]
