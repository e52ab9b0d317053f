"""`rails`: which flows guard which direction, and how they run."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from rails_engine.config.schema.base import OpenSection, Section
from rails_engine.config.schema.rail_options import RailsConfigData


class ErrorPolicy(Section):
    """What happens when a rail itself fails."""

    on_error: Literal["block", "allow"] = "block"
    fail_open: bool = Field(default=False, description="The same as `on_error: allow`.")
    timeout_s: float = Field(default=10.0, gt=0)

    @property
    def allows_on_error(self) -> bool:
        return self.fail_open or self.on_error == "allow"

    @model_validator(mode="after")
    def _one_answer(self) -> Self:
        if {"on_error", "fail_open"} <= self.model_fields_set and self.fail_open != (
            self.on_error == "allow"
        ):
            raise ValueError("`on_error` and `fail_open` contradict each other; give one of them")
        return self


class RailPolicy(ErrorPolicy):
    """What holds for one rail; keyed by flow name in `rails.policies`."""

    reads_images: bool = Field(
        default=False,
        description="This rail of yours looks at images and files itself, so they may go to it.",
    )


class GuardedDirection(ErrorPolicy):
    """Rails over one direction of text. `on_error` and `timeout_s` hold for each of its flows."""

    flows: list[str] = Field(default_factory=list)
    parallel: bool | None = False


class InputRails(GuardedDirection):
    speculative_generation: bool | None = False
    allow_images: bool = Field(default=False, description="Let images pass that no rail can read.")
    check_system_messages: bool = Field(
        default=False,
        description="Check system messages too: they come from the client, not from the application.",
    )


class OutputRailsStreamingConfig(OpenSection):
    """Windows of held text. `chunk_size` and `context_size` count stream chunks."""

    enabled: bool = True
    chunk_size: int = Field(default=200, gt=0)
    context_size: int = Field(default=50, ge=0)
    stream_first: bool = Field(default=False, description="Release text before its verdict.")


class OutputRails(GuardedDirection):
    streaming: OutputRailsStreamingConfig = Field(default_factory=OutputRailsStreamingConfig)


class RetrievalRails(GuardedDirection):
    """Rails over retrieved text."""


class ActionRails(Section):
    instant_actions: list[str] | None = None


class ToolOutputRails(GuardedDirection):
    """Rails over the calls that the model asks for."""


class ToolInputRails(GuardedDirection):
    """Rails over the results that tools return."""


class SingleCallConfig(Section):
    enabled: bool = False
    fallback_to_multiple_calls: bool = True


class UserMessagesConfig(Section):
    embeddings_only: bool = False
    embeddings_only_similarity_threshold: float | None = Field(default=None, ge=0, le=1)
    embeddings_only_fallback_intent: str | None = None
    embeddings_only_margin: float | None = Field(
        default=None, ge=0, le=1, description="Ask the model where the best two intents are closer than this."
    )


class DialogRails(Section):
    single_call: SingleCallConfig = Field(default_factory=SingleCallConfig)
    user_messages: UserMessagesConfig = Field(default_factory=UserMessagesConfig)


_DIRECTIONS = ("input", "output", "retrieval", "tool_output", "tool_input")


class Rails(Section):
    config: RailsConfigData = Field(default_factory=RailsConfigData)
    input: InputRails = Field(default_factory=InputRails)
    output: OutputRails = Field(default_factory=OutputRails)
    retrieval: RetrievalRails = Field(default_factory=RetrievalRails)
    dialog: DialogRails = Field(default_factory=DialogRails)
    actions: ActionRails = Field(default_factory=ActionRails)
    tool_output: ToolOutputRails = Field(default_factory=ToolOutputRails)
    tool_input: ToolInputRails = Field(default_factory=ToolInputRails)
    policies: dict[str, RailPolicy] = Field(default_factory=dict)

    def direction(self, name: str) -> GuardedDirection | None:
        """The guarded direction of this name, where there is one."""
        return getattr(self, name) if name in _DIRECTIONS else None

    def directions(self) -> dict[str, GuardedDirection]:
        """Every guarded direction by the name of its key."""
        return {name: getattr(self, name) for name in _DIRECTIONS}
