"""The main model asked without a prompt of ours: a user's message, and the results of the tools that it called.

What the model called is handed over by a flow of the library, so that tool-output rails see the calls before anybody
else does. A whole exchange of calls and results about one message is kept in a global variable, since the model has to
be given all of it each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rails_engine.dialog.readers import Verbatim
from rails_engine.dialog.speaking import speaking
from rails_engine.llm import Completion as Answer
from rails_engine.llm import message_of, plain_call
from rails_engine.scene import Outcome, Scene

EXCHANGE: Final = "_tool_exchange"
"""The global variable with the calls and results about the user's last message, as chat messages."""

HANDING_OVER: Final = "bot call tools"
"""The flow of `core` that hands calls over."""

CALLING: Final = "_bot_call_tools"
"""The hook by which it does so; `guardrails` has them judged there."""


async def passthrough(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`PassthroughLLMAction(user_message, tool_messages=None, tool_calls=None)`: the model's own answer.

    None where the model only calls tools. `tool_messages` are results of its last calls, or of the `tool_calls` that
    are given with them.
    """
    results = arguments.get("tool_messages") or ()
    exchange = _exchange(scene.context, results, arguments.get("tool_calls") or ()) if results else []
    asked = {"role": "user", "content": str(arguments.get("user_message") or "")}
    messages = tuple(message_of(message) for message in (asked, *exchange))
    out = speaking(scene, Verbatim(), thinks=True)
    try:
        answer = await scene.services.answer(messages, out.piece)
        judged = await out.end()
    finally:
        out.leave()
    outcome = _outcome(scene, answer, exchange)
    return replace(outcome, context_updates={**outcome.context_updates, **judged})


def _exchange(
    context: Mapping[str, Any], results: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The exchange so far, then the calls and their results. Calls that were made here count before a client's word."""
    answered = {result.get("tool_call_id") for result in results}
    own = [call for call in context.get("tool_calls") or () if call.get("id") in answered]
    calling = {"role": "assistant", "content": "", "tool_calls": own or list(given)}
    return [*(context.get(EXCHANGE) or ()), calling, *({"role": "tool", **result} for result in results)]


def _outcome(scene: Scene, answer: Answer, exchange: list[dict[str, Any]]) -> Outcome:
    calls = list(map(plain_call, answer.tool_calls))
    updates: dict[str, Any] = {
        EXCHANGE: exchange,
        "bot_thinking": answer.reasoning or None,
        "tool_calls": calls,
        "tools": list(scene.services.llm_params.get("tools") or ()),
    }
    # What is empty and was never set stays unset.
    changed = {name: value for name, value in updates.items() if value or name in scene.context}
    if not calls:
        return Outcome(answer.text, changed)
    text = answer.text or None
    if HANDING_OVER not in scene.program.flows:
        return Outcome(text, changed, ({"type": "BotToolCalls", "tool_calls": calls},))
    start = {"type": "StartFlow", "flow_id": HANDING_OVER, "calls": calls}
    return Outcome(text, changed, starts=(start,))
