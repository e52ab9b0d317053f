"""Where the Colang imports of a configuration are looked up."""

from __future__ import annotations

from pathlib import Path

from colang import ImportPath
from rails_engine.config import search_path
from rails_engine.library import COLANG_2, IMPORT_NAME


def import_path(config_path: str | None) -> ImportPath:
    """The folders of a configuration (several are joined with commas), then `COLANGPATH`, then the built-in rails."""
    given = [Path(part) for part in (config_path or "").split(",") if part]
    roots: list[Path | None] = [path if path.is_dir() else path.parent for path in given]
    folders = dict.fromkeys(folder for root in roots or [None] for folder in search_path(root))
    return ImportPath(tuple(folders), {IMPORT_NAME: COLANG_2})
