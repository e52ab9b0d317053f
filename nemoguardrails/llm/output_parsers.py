"""The output parsers that prompts name."""

from rails_engine.prompts import (
    bot_intent_parser,
    bot_message_parser,
    is_content_safe,
    nemoguard_parse_prompt_safety,
    nemoguard_parse_response_safety,
    nemotron_content_safety_parse_prompt_safety,
    nemotron_content_safety_parse_response_safety,
    nemotron_reasoning_parse_prompt_safety,
    nemotron_reasoning_parse_response_safety,
    user_intent_parser,
    verbose_v1_parser,
)

__all__ = [
    "bot_intent_parser",
    "bot_message_parser",
    "is_content_safe",
    "nemoguard_parse_prompt_safety",
    "nemoguard_parse_response_safety",
    "nemotron_content_safety_parse_prompt_safety",
    "nemotron_content_safety_parse_response_safety",
    "nemotron_reasoning_parse_prompt_safety",
    "nemotron_reasoning_parse_response_safety",
    "user_intent_parser",
    "verbose_v1_parser",
]
