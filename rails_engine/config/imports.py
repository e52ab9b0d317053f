"""`import_paths`: other configurations that one is built on, found by name."""

from __future__ import annotations

import os
from pathlib import Path

from rails_engine.errors import InvalidRailsConfigurationError


def search_path(root: Path | None) -> list[Path]:
    """Where names are looked up: the configuration's folder, the working directory, then `COLANGPATH`."""
    listed = [Path(entry) for entry in os.environ.get("COLANGPATH", "").split(os.pathsep) if entry]
    return [*([root] if root else []), Path.cwd(), *listed]


def resolve_import(name: str, root: Path | None) -> Path:
    """The folder or file that `name` (a path, or dotted) stands for.

    Raises:
        InvalidRailsConfigurationError: nothing of that name is on the search path.
    """
    forms = dict.fromkeys((name, name.replace(".", "/")))
    folders = search_path(root)
    for folder in folders:
        for form in forms:
            for candidate in (folder / form, folder / f"{form}.yml", folder / f"{form}.yaml"):
                if candidate.exists():
                    return candidate
    looked = ", ".join(str(folder) for folder in folders)
    raise InvalidRailsConfigurationError(
        f"Import path '{name}' could not be resolved; looked in {looked}. Add its parent folder to COLANGPATH."
    )
