"""The runtime's own actions, by the names that flows call them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rails_engine.dialog import attention, flow_actions, generation
from rails_engine.dialog.parallel_rails import rails_side_by_side
from rails_engine.dialog.passthrough import passthrough
from rails_engine.dialog.refusals import judge_input
from rails_engine.dialog.sources import relevant_chunks
from rails_engine.scene import Effect, Plan, guarded

_AT_ONCE: Mapping[str, Effect] = {
    "AddFlowsAction": flow_actions.add_flows,
    "RemoveFlowsAction": flow_actions.remove_flows,
    "CheckFlowDefinedAction": flow_actions.flow_defined,
    "CheckValidFlowExistsAction": flow_actions.flow_exists,
    "CheckForActiveEventMatchAction": flow_actions.event_awaited,
    "GetLastUserMessageAction": flow_actions.last_user_message,
    "RetrieveRelevantChunksAction": relevant_chunks,
    "RailsSideBySideAction": rails_side_by_side,
    "JudgeInputAction": judge_input,
    "UpdateAttentionMaterializedViewAction": attention.update_view,
    "GetAttentionPercentageAction": attention.percentage,
}

_IN_THE_BACKGROUND: Mapping[str, Effect] = {
    "CreateFlowAction": flow_actions.create_flow,
    "GenerateUserIntentAction": generation.user_intent,
    "GenerateUserIntentAndBotAction": generation.user_intent_and_bot_action,
    "GenerateValueAction": generation.value,
    "GenerateFlowAction": generation.flow_from_docstring,
    "GenerateFlowFromInstructionsAction": generation.flow_from_instructions,
    "GenerateFlowFromNameAction": generation.flow_from_name,
    "GenerateFlowContinuationAction": generation.flow_continuation,
    "PassthroughLLMAction": passthrough,
}

SYSTEM_ACTIONS: Mapping[str, Plan] = MappingProxyType(
    {
        **{name: Plan(name, guarded(name, effect)) for name, effect in _AT_ONCE.items()},
        **{
            name: Plan(name, guarded(name, effect), execute_async=True)
            for name, effect in _IN_THE_BACKGROUND.items()
        },
    }
)
"""Action name to how it is carried out; those in the background ask a model and do not hold up the conversation."""
