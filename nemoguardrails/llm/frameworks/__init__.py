"""Who makes models."""

from rails_engine.llm import (
    get_default_framework,
    get_framework,
    register_framework,
    set_default_framework,
)

__all__ = ["get_default_framework", "get_framework", "register_framework", "set_default_framework"]
