"""One file of Colang 2.x by itself."""

from functools import partial

from rails_engine import config

parse_colang_file = partial(config.parse_colang_file, version="2.x")

__all__ = ["parse_colang_file"]
