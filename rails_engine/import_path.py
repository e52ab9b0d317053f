"""Where the Colang imports of a configuration are looked up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import colang
from colang import ImportPath, Source
from rails_engine.config import imports_of, search_path
from rails_engine.library import COLANG_2, IMPORT_NAME

_SHIPPED: Final = (Path(colang.__file__).parent, COLANG_2)


def import_path(config_path: str | None) -> ImportPath:
    """The folders of a configuration (several are joined with commas), then `COLANGPATH`, then the built-in rails."""
    given = [Path(part) for part in (config_path or "").split(",") if part]
    roots: list[Path | None] = [path if path.is_dir() else path.parent for path in given]
    folders = dict.fromkeys(folder for root in roots or [None] for folder in search_path(root))
    return ImportPath(tuple(folders), {IMPORT_NAME: COLANG_2})


def imported_sources(imports: Iterable[str], path: ImportPath) -> tuple[Source, ...]:
    """The files that these imports lead to, as they are now; those that come with this package never change."""
    found: dict[Path, Source] = {}
    waiting, named = deque(imports), set(imports)
    while waiting:
        for file in path.find(waiting.popleft()):
            if file in found or any(file.is_relative_to(folder) for folder in _SHIPPED):
                continue
            found[file] = _read(file)
            further = [name for name in imports_of([found[file]]) if name not in named]
            named.update(further)
            waiting.extend(further)
    return tuple(found.values())


def _read(file: Path) -> Source:
    """The file; what cannot be read is empty here, since loading says what is wrong with it."""
    try:
        return Source(str(file), file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return Source(str(file), "")
