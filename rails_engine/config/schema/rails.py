"""`rails`: which flows guard which direction, and how they run."""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import Field, model_validator

from rails_engine.config.schema.base import OpenSection, Section
from rails_engine.config.schema.rail_options import RailsConfigData


class ErrorPolicy(Section):
    """What happens when a rail itself fails."""

    on_error: Literal["block", "allow"] = Field(
        default="block", description="What a rail that fails does to the text."
    )
    fail_open: bool = Field(default=False, description="The same as `on_error: allow`.")
    timeout_s: float = Field(default=10.0, gt=0, description="Seconds for one action of a rail.")

    @property
    def allows_on_error(self) -> bool:
        """True where a rail that fails lets the text pass."""
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

    flows: list[str] = Field(default_factory=list, description="The rails, in order.")
    parallel: bool | None = Field(
        default=False, description="Run them side by side; the first refusal ends the others."
    )


class InputRails(GuardedDirection):
    """Rails over what users say."""

    speculative_generation: bool | None = Field(
        default=False, description="Ask the model while the input rails judge."
    )
    allow_images: bool = Field(default=False, description="Let images pass that no rail can read.")
    check_system_messages: bool = Field(
        default=False,
        description="Check system messages too: they come from the client, not from the application.",
    )


class OutputRailsStreamingConfig(OpenSection):
    """Windows of held text. `chunk_size` and `context_size` count stream chunks."""

    enabled: bool = Field(
        default=True, description="Whether answers may be streamed where there are output rails."
    )
    chunk_size: int = Field(default=200, gt=0, description="Pieces of a window.")
    context_size: int = Field(
        default=50, ge=0, description="Pieces of the window before that are seen with it."
    )
    stream_first: bool = Field(default=False, description="Release text before its verdict.")
    reach: int | None = Field(
        default=None,
        ge=0,
        description="Characters that what rails rewrite may be long; held back at the end of each window.",
    )


class OutputRails(GuardedDirection):
    """Rails over answers."""

    streaming: OutputRailsStreamingConfig = Field(
        default_factory=OutputRailsStreamingConfig, description="Windows of streamed answers."
    )


class RetrievalRails(GuardedDirection):
    """Rails over retrieved text."""


class ActionRails(Section):
    """How actions run."""

    instant_actions: list[str] | None = Field(
        default=None, description="Actions of Colang 2.x that end at once; by default utterances."
    )


class ToolOutputRails(GuardedDirection):
    """Rails over the calls that the model asks for."""


class ToolInputRails(GuardedDirection):
    """Rails over the results that tools return."""


class SingleCallConfig(Section):
    """Colang 1.0: intent, next step and message from one call of the model."""

    enabled: bool = Field(
        default=False, description="Intent, next step and message in one call of the model."
    )
    fallback_to_multiple_calls: bool = Field(
        default=True, description="Ask step by step where that call's answer cannot be read."
    )


class UserMessagesConfig(Section):
    """Colang 1.0: how the intent of what a user said is found."""

    embeddings_only: bool = Field(
        default=False, description="Take the nearest intent without asking the model."
    )
    embeddings_only_similarity_threshold: float | None = Field(
        default=None, ge=0, le=1, description="The least similarity of an intent that is taken."
    )
    embeddings_only_fallback_intent: str | None = Field(
        default=None, description="The intent of what is similar to none."
    )
    embeddings_only_margin: float | None = Field(
        default=None, ge=0, le=1, description="Ask the model where the best two intents are closer than this."
    )


class DialogRails(Section):
    """How the dialog is led."""

    single_call: SingleCallConfig = Field(
        default_factory=SingleCallConfig, description="One call of the model for the whole turn."
    )
    user_messages: UserMessagesConfig = Field(
        default_factory=UserMessagesConfig, description="How the intent of a user message is found."
    )


DIRECTIONS: Final = ("input", "output", "retrieval", "tool_output", "tool_input")
"""The keys of the guarded directions."""


class Rails(Section):
    """The section `rails`."""

    config: RailsConfigData = Field(
        default_factory=RailsConfigData, description="The settings of each built-in rail."
    )
    input: InputRails = Field(default_factory=InputRails, description="Rails over what users say.")
    output: OutputRails = Field(default_factory=OutputRails, description="Rails over answers.")
    retrieval: RetrievalRails = Field(
        default_factory=RetrievalRails, description="Rails over retrieved text."
    )
    dialog: DialogRails = Field(default_factory=DialogRails, description="How the dialog is led.")
    actions: ActionRails = Field(default_factory=ActionRails, description="How actions run.")
    tool_output: ToolOutputRails = Field(
        default_factory=ToolOutputRails, description="Rails over the calls that the model asks for."
    )
    tool_input: ToolInputRails = Field(
        default_factory=ToolInputRails, description="Rails over the results that tools return."
    )
    policies: dict[str, RailPolicy] = Field(
        default_factory=dict, description="Policies of single rails, by flow."
    )

    def directions(self) -> dict[str, GuardedDirection]:
        """Every guarded direction by the name of its key."""
        return {name: getattr(self, name) for name in DIRECTIONS}
