"""Log lines on the console."""

from rails_engine import set_verbose

__all__ = ["set_verbose"]
