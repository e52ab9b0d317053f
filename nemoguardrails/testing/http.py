"""`RecordingHTTPClient` under its longer path."""

from rails_engine.http import RecordingHTTPClient

__all__ = ["RecordingHTTPClient"]
