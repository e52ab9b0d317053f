"""Python beside a configuration: `actions.py`, the folder `actions/`, and `config.py`.

Looked for in the configuration's folders and in what it imports, and nowhere else. This is code of the same trust as
the configuration. A file that fails to load is an error that names the file and the line.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from rails_engine.actions.registry import ActionRegistry
from rails_engine.config import RailsConfig
from rails_engine.error_boundary import ErrorBoundary
from rails_engine.errors import ConfigCodeError


def code_folders(config: RailsConfig) -> list[Path]:
    """Where Python is looked for: imported paths first, so that the configuration's own code wins."""
    named = [*(config.imported_paths or {}).values(), *filter(None, (config.config_path or "").split(","))]
    paths = [Path(name) for name in named]
    folders = (path if path.is_dir() else path.parent for path in paths if path.exists())
    return list(dict.fromkeys(folders))


def discover_actions(config: RailsConfig, registry: ActionRegistry) -> None:
    """Register every marked function and class of the configuration's `actions.py` and `actions/`.

    Raises:
        ConfigCodeError: a file fails to load.
    """
    for folder in code_folders(config):
        discover_in(folder, registry)


def discover_in(folder: Path, registry: ActionRegistry) -> None:
    """Register every marked function and class of `actions.py` and `actions/` in a folder.

    Raises:
        ConfigCodeError: a file fails to load.
    """
    for module in _action_modules(folder):
        registry.register_from(module)


def _action_modules(folder: Path) -> Iterator[ModuleType]:
    file, package = folder / "actions.py", folder / "actions"
    if file.is_file():
        yield load_module(file, _module_name(file))
    if package.is_dir():
        yield from _package(package)


def _package(package: Path) -> Iterator[ModuleType]:
    """Every module of a folder, loaded as one package so that they can import each other by dots."""
    root = _module_name(package)
    _as_package(root, package)
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package).with_suffix("").parts
        if any(part.startswith(".") or part == "__pycache__" for part in parts):
            continue
        for depth in range(1, len(parts)):
            _as_package(".".join((root, *parts[:depth])), package.joinpath(*parts[:depth]))
        if parts[-1] != "__init__":
            yield load_module(file, ".".join((root, *parts)))
        elif file.stat().st_size:
            yield load_module(file, ".".join((root, *parts[:-1])), package=True)


def _as_package(name: str, folder: Path) -> None:
    if name not in sys.modules:
        module = ModuleType(name)
        module.__path__ = [str(folder)]
        sys.modules[name] = module


def _module_name(path: Path) -> str:
    """A name of its own for each path, so that the files of two configurations never meet."""
    digest = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    return f"interlock_config_{digest}_{path.stem}"


def load_module(file: Path, name: str, *, package: bool = False) -> ModuleType:
    """Execute a file as a module.

    Raises:
        ConfigCodeError: it cannot be read or raises.
    """
    where = [str(file.parent)] if package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=where)
    if spec is None or spec.loader is None:
        raise ConfigCodeError(f"{file}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module

    def broken(error: Exception) -> ConfigCodeError:
        sys.modules.pop(name, None)
        return ConfigCodeError(f"{_place(file, error)}: {type(error).__name__}: {error}")

    with ErrorBoundary(broken):
        spec.loader.exec_module(module)
    return module


def _place(file: Path, error: Exception) -> str:
    """The file, and the line of it at which things went wrong."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f"{file}:{error.lineno}:{error.offset}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f"{file}:{lines[-1]}" if lines else str(file)


@dataclass(frozen=True, slots=True)
class ConfigModule:
    """A `config.py` that was executed."""

    file: Path
    init: Callable[..., Any] | None

    def initialise(self, app: Any) -> None:
        """Call its `init(app)`, if it has one.

        Raises:
            ConfigCodeError: `init` raises.
        """
        if self.init is None:
            return
        with ErrorBoundary(self._failed):
            self.init(app)

    def _failed(self, error: Exception) -> ConfigCodeError:
        where = _place(self.file, error)
        return ConfigCodeError(f"{where}: init() failed: {type(error).__name__}: {error}")


def load_config_modules(folders: Iterable[Path]) -> list[ConfigModule]:
    """Execute the `config.py` of each folder that has one.

    Raises:
        ConfigCodeError: one of them raises.
    """
    files = [folder / "config.py" for folder in folders if (folder / "config.py").is_file()]
    modules = [(file, load_module(file, _module_name(file))) for file in files]
    return [ConfigModule(file, getattr(module, "init", None)) for file, module in modules]
