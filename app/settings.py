"""What the environment tells the doors; each variable is read here and nowhere else in `app`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment as values.

    Attributes:
        debug_mode: `DEBUG_MODE` is set: choices that are left to chance fall the same way in every run.
    """

    debug_mode: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """What the variables of this process say."""
        return cls(debug_mode=environment.get("DEBUG_MODE", "").lower() in {"1", "true", "yes", "on"})
