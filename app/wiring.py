"""The composition root: here a path becomes a running engine, and nowhere else in `app`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rails_engine import LLMRails


def open_rails(path: Path) -> LLMRails:
    """The rails of the configuration at `path`, with its actions and `config.py` loaded.

    Raises:
        ConfigurationError, ColangError: the configuration cannot be used.
    """
    from rails_engine import LLMRails
    from rails_engine.config import RailsConfig

    return LLMRails(RailsConfig.from_path(str(path)))
