"""Personal data."""

from rails_engine.library.actions import detect_sensitive_data, mask_sensitive_data

__all__ = ["detect_sensitive_data", "mask_sensitive_data"]
