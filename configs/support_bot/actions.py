"""What the flows look up: an answer in the documents' own words."""

from typing import Any

from nemoguardrails.actions import action


@action(is_system_action=True)
async def look_up_answer(context: dict[str, Any], kb: Any = None) -> str | None:
    """The sentences that answer the last message, with their source; None where the documents hold none."""
    answer = await kb.answer(context["last_user_message"])
    return None if answer is None else answer.with_source
