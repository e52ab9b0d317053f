"""Rails: the configuration and what runs it."""

from rails_engine.config import RailsConfig
from rails_engine.rails import LLMRails

__all__ = ["LLMRails", "RailsConfig"]
