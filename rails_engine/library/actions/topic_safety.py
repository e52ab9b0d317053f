"""Topic control: a guard model says whether the conversation stays within its guidelines."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.library.actions.asking import Asker, Judgement, Question, bare
from rails_engine.library.actions.reading import readable, told
from rails_engine.llm import Message, message_of
from rails_engine.prompts import FILTERS, LLMTaskManager

COLD = 0.01
INSTRUCTION = (
    '\n\nIf the last user message keeps to these guidelines, answer "on-topic". If it does not, answer "off-topic". '
    "Answer with one of the two and nothing else."
)


@action(is_system_action=True)
async def topic_safety_check_input(
    llms: Mapping[str, Any],
    llm_task_manager: LLMTaskManager,
    model_name: str | None = None,
    context: Mapping[str, Any] | None = None,
    events: Sequence[Mapping[str, Any]] | None = None,
    config: RailsConfig | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the user's message keeps to the topics that the prompt allows, seen in the whole conversation.

    An answer that is neither `on-topic` nor `off-topic` blocks.
    """
    context, config = told(context, given), config or llm_task_manager.config
    kind = model_name or context.get("model")
    if not kind:
        raise ValueError("topic_safety_check_input needs the type of its model: write `$model=TYPE`")
    asker = Asker(config, llm_task_manager, None, llms)
    question = Question(
        f"topic_safety_check_input $model={kind}",
        context,
        kind,
        temperature=COLD,
        max_tokens=None,
        conversation=conversation_of(
            events or (),
            readable(context.get("user_message"), config),
            context.get("off_topic_messages") or (),
        ),
        system_suffix=INSTRUCTION,
    )
    answer = (await asker.ask(question, asker.named_model(kind))).text
    said = {"on-topic": True, "off-topic": False}.get(bare(answer))
    return Judgement(said, answer=answer).outcome()


def conversation_of(
    events: Sequence[Mapping[str, Any]], last: str, refused: Collection[str] = ()
) -> tuple[Message, ...]:
    """What was said so far, ending with the user's message that is being judged.

    Messages that were `refused` before are left out, with the answers that they got.
    """
    shown: list[dict[str, Any]] = []
    dropping = False
    for message in FILTERS["to_chat_messages"](_spoken(events)):
        if message["role"] == "user":
            dropping = message["content"] in refused
        if message["content"] and not dropping:
            shown.append(message)
    if not shown or shown[-1]["role"] != "user" or shown[-1]["content"] != last:
        shown.append({"role": "user", "content": last})
    return tuple(message_of(message) for message in shown)


def _spoken(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Events with the user's words as user messages in both dialects, each said once."""
    kinds = {event.get("type") for event in events}
    result: list[Mapping[str, Any]] = []
    for event in events:
        if event.get("type") == "UtteranceUserActionFinished" and "UserMessage" not in kinds:
            result.append({"type": "UserMessage", "text": event.get("final_transcript")})
        else:
            result.append(event)
    return result
