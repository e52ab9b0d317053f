"""The composition root: here a path becomes a running engine, and nowhere else in `app`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rails_engine import LLMRails


def open_rails(path: Path) -> LLMRails:
    """The rails of the configuration at `path`, with its actions and `config.py` loaded.

    Raises:
        ConfigurationError, ColangError: the configuration cannot be used; MissingKeyError among them where a model
            would be called without its key.
    """
    from rails_engine import LLMRails
    from rails_engine.config import RailsConfig
    from rails_engine.llm import require_keys

    config = RailsConfig.from_path(str(path))
    require_keys(config.models)
    return LLMRails(config)
