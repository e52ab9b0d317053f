"""The configurations that come with the package, so that a name is enough where no folder of one's own exists."""

from __future__ import annotations

import difflib
from pathlib import Path

from app.errors import NoSuchConfigError


def bundled_folder() -> Path:
    """Where they lie: inside the installed package, or at the root of a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def bundled_names() -> list[str]:
    """Their names, sorted; none where the folder was not installed."""
    folder = bundled_folder()
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def find_config(name: str) -> Path:
    """The path that `name` stands for: a file or folder of the user's, or a bundled configuration.

    Raises:
        NoSuchConfigError: naming the nearest bundled one, or all of them.
    """
    path = Path(name)
    if path.exists():
        return path
    names = bundled_names()
    if name in names:
        return bundled_folder() / name
    near = difflib.get_close_matches(path.name, names, n=1)
    hint = f"did you mean the bundled {near[0]!r}?" if near else f"bundled ones are {', '.join(names)}"
    raise NoSuchConfigError(f"There is no configuration at {name}; {hint}")
