"""The sections of `config.yml` as users construct and read them."""

from rails_engine.config import RailsConfig
from rails_engine.config.schema import *  # noqa: F403 -- the public names are those of the schema
from rails_engine.errors import InvalidModelConfigurationError, InvalidRailsConfigurationError

__all__ = ["InvalidModelConfigurationError", "InvalidRailsConfigurationError", "RailsConfig"]
