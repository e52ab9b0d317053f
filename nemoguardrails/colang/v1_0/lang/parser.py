"""One file of Colang 1.0 by itself."""

from rails_engine.config import parse_colang_file

__all__ = ["parse_colang_file"]
