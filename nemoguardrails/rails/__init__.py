"""Rails: the configuration and what runs it."""

from rails_engine import LLMRails
from rails_engine.config import RailsConfig

__all__ = ["LLMRails", "RailsConfig"]
