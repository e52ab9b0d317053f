"""What a rail's action answers: let it pass, block it, or put other text in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class RailDecision(StrEnum):
    """What a rail decides."""

    ALLOW = "allow"
    BLOCK = "block"
    TRANSFORM = "transform"


class TransformTarget(StrEnum):
    """The context variable that a rail may put another text into."""

    USER_MESSAGE = "user_message"
    BOT_MESSAGE = "bot_message"
    RELEVANT_CHUNKS = "relevant_chunks"


@dataclass(frozen=True)
class TransformSpec:
    """One rewrite: the text that the target is to hold from here on."""

    target: TransformTarget
    text: str


@dataclass(frozen=True, init=False)
class RailOutcome:
    """One verdict. `failed`: the rail could not judge, and so blocks."""

    decision: RailDecision
    reason: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    transforms: tuple[TransformSpec, ...] = ()
    failed: bool = False

    def __init__(
        self,
        decision: RailDecision,
        reason: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        transforms: tuple[TransformSpec, ...] = (),
        failed: bool = False,
    ) -> None:
        # As a frozen dataclass does it, but without a call a field: every rail of every turn makes one.
        fields = self.__dict__
        fields["decision"] = decision
        fields["reason"] = reason
        fields["metadata"] = {} if metadata is None else metadata
        fields["transforms"] = transforms
        fields["failed"] = failed

    @classmethod
    def allow(cls, *, reason: str | None = None, metadata: Mapping[str, Any] | None = None) -> Self:
        """The text may go on as it is."""
        return cls(RailDecision.ALLOW, reason, metadata or {})

    @classmethod
    def block(cls, *, reason: str | None = None, metadata: Mapping[str, Any] | None = None) -> Self:
        """The text must not go on. `reason` is for logs and flows, not for the user."""
        return cls(RailDecision.BLOCK, reason, metadata or {})

    @classmethod
    def failure(cls, *, reason: str | None = None, metadata: Mapping[str, Any] | None = None) -> Self:
        """The rail could not judge: the text is blocked, unless the rail's policy (`on_error`) allows it."""
        return cls(RailDecision.BLOCK, reason, metadata or {}, failed=True)

    @classmethod
    def transform(
        cls,
        rewrites: Sequence[tuple[TransformTarget, str]],
        *,
        reason: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Self:
        """Let the turn go on with other texts.

        Raises:
            ValueError: there is no rewrite, or two for one target.
        """
        specs = tuple(TransformSpec(TransformTarget(target), text) for target, text in rewrites)
        if not specs or len({spec.target for spec in specs}) < len(specs):
            raise ValueError("a transform has one rewrite for each target, and at least one")
        return cls(RailDecision.TRANSFORM, reason, metadata or {}, specs)

    @property
    def is_blocked(self) -> bool:
        """True for `block`, and for a rail that could not judge."""
        return self.decision is RailDecision.BLOCK

    @property
    def is_transform(self) -> bool:
        """True where other texts take the place of those judged."""
        return self.decision is RailDecision.TRANSFORM

    @property
    def transform_text(self) -> str | None:
        """The text of the first rewrite; None where there is none."""
        return self.transforms[0].text if self.transforms else None


def require_rail_outcome(result: object) -> RailOutcome:
    """`result`, if it is a verdict.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(result, RailOutcome):
        raise TypeError(f"a rail's action answers with a RailOutcome, not with {type(result).__name__}")
    return result
