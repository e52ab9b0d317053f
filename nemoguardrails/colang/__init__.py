"""Colang: reading a file by itself; the runtime has states and errors."""

from rails_engine.config import parse_colang_file

__all__ = ["parse_colang_file"]
