"""What identifies a conversation."""

from rails_engine import digest as get_history_cache_key

__all__ = ["get_history_cache_key"]
