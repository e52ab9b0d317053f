"""Regular expressions."""

from rails_engine.library.actions import detect_regex_pattern

__all__ = ["detect_regex_pattern"]
