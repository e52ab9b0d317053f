"""`limits`: how much one call may bring. Whatever is beyond is refused before anything of the conversation is touched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rails_engine.config.schema.base import Section


class LimitsConfig(Section):
    """Bounds on the messages, the prompt or the events of one call, all of them together."""

    max_messages: int = Field(default=5_000, gt=0, description="Messages in one call.")
    max_characters: int = Field(default=5_000_000, gt=0, description="Of all texts and keys.")
    max_depth: int = Field(default=64, gt=0, le=500, description="Of lists and mappings in one another.")
    control_characters: Literal["refuse", "allow"] = Field(
        default="refuse", description="In what users say: C0 controls but tab, line and page breaks."
    )
