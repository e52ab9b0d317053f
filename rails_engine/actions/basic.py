"""Two actions of the runtime as functions, for users' own actions that build on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from rails_engine.actions.decorator import ActionResult, action


class ChunkSource(Protocol):
    """A knowledge base, as far as it is asked here."""

    async def search_relevant_chunks(self, text: str, max_results: int = ...) -> list[dict[str, Any]]:
        """The chunks nearest to `text`, best first, at most `max_results`; the text of each stands under `body`."""


@action(is_system_action=True)
async def create_event(event: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> ActionResult:
    """The event that `{"_type": NAME, …}` describes; a value `"$x"` is replaced by the variable."""
    variables = context or {}
    values = {
        key: variables.get(value[1:]) if isinstance(value, str) and value.startswith("$") else value
        for key, value in event.items()
        if key != "_type"
    }
    return ActionResult(events=[{"type": event["_type"], **values}])


@action(is_system_action=True)
async def retrieve_relevant_chunks(
    context: Mapping[str, Any] | None = None, kb: ChunkSource | None = None, is_colang_2: bool | None = False
) -> ActionResult:
    """What the knowledge base says to the user's last message: a text, and context variables for prompts and rails.

    Without a knowledge base the chunks that the context holds already are kept.
    """
    known = context or {}
    query = known.get("user_message" if is_colang_2 else "last_user_message") or known.get(
        "last_user_message"
    )
    if kb is None or not query:
        text = str(known.get("relevant_chunks") or "").rstrip("\n") + "\n"
        kept = known.get("relevant_chunks_sep") or []
        updates = {"relevant_chunks": text, "relevant_chunks_sep": kept, "retrieved_for": None}
        return ActionResult(text, context_updates=updates)
    chunks = [str(chunk["body"]) for chunk in await kb.search_relevant_chunks(str(query))]
    text = "\n".join(chunks)
    updates = {"relevant_chunks": text, "relevant_chunks_sep": chunks, "retrieved_for": query}
    return ActionResult(text, context_updates=updates)
