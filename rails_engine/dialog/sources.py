"""What the knowledge base says, as far as the retrieval rails let it pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.dialog.refusals import spoken
from rails_engine.judge import RETRIEVAL, Judgement
from rails_engine.scene import Outcome, Scene


async def relevant_chunks(scene: Scene, _arguments: Mapping[str, Any]) -> Outcome:
    """`RetrieveRelevantChunksAction()`: what the knowledge base says to the user's last message, None without one.

    Retrieval rails may rewrite it. Where they refuse it nothing is found, and the flow that asked fails.
    """
    query = scene.context.get("last_user_message") or scene.last_words()
    chunks = await scene.services.relevant_chunks(query) if query else None
    if chunks is None:
        return Outcome()
    judgement = await _judged(scene, "\n".join(chunks))
    kept = list(chunks) if judgement.text == "\n".join(chunks) else [judgement.text]
    updates = {
        "relevant_chunks": judgement.text,
        "relevant_chunks_sep": kept if judgement.passed else [],
        "retrieved_for": query,
    }
    if judgement.passed:
        return Outcome(judgement.text, updates)
    events = (judgement.exception,) if judgement.exception else ()
    return Outcome(None, updates, events, starts=spoken(judgement.said), aborts=True)


async def _judged(scene: Scene, text: str) -> Judgement:
    """The verdict of the retrieval rails; a rail that looks for sources itself is not asked about them."""
    if scene.rail is not None and scene.rail.direction == RETRIEVAL:
        return Judgement(passed=True, content=text)
    return await scene.judge.retrieval(text)
