"""From paths and texts to one draft: merged data with places, Colang sources, and what was odd on the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from colang import Source
from rails_engine.config.document import MarkedDict, locate, parse
from rails_engine.config.folder import FolderFiles, read_text, scan
from rails_engine.config.imports import resolve_import
from rails_engine.config.keys import own_keys
from rails_engine.config.merge import merge
from rails_engine.config.outline import SOURCE_CODE, TWO, imports_of
from rails_engine.config.problems import ConfigProblemsError, Place, Problem
from rails_engine.config.schema import ConfigData
from rails_engine.errors import InvalidRailsConfigurationError

_DEFAULT_KB = "kb"
_SOURCES = "sources"
_SHIPPED = "nemoguardrails.library"
"""Colang modules that come with the engine, never a folder that happens to be on the search path."""


@dataclass(slots=True)
class Draft:
    """A configuration before it is checked."""

    data: MarkedDict
    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def draft_of_path(config_path: str) -> Draft:
    """The folder or file at `config_path`, with everything it imports.

    Raises:
        InvalidRailsConfigurationError: the path cannot be used, or something there cannot be read.
    """
    if "," in config_path or config_path != config_path.strip() or not config_path:
        raise InvalidRailsConfigurationError(
            f"Invalid config path {config_path!r}: paths have no commas and no blanks at either end."
        )
    draft = _draft_of_folder(scan(Path(config_path)), set())
    if not draft.data and not draft.sources:
        raise InvalidRailsConfigurationError(
            f"Invalid config path {config_path}: there is no .yml, .yaml or .co file in it."
        )
    draft.data["config_path"] = config_path
    return draft


def draft_of_content(
    colang_content: str | None, yaml_content: str | None, config: Mapping[str, Any] | None
) -> Draft:
    """The given mapping with the texts laid over it, and everything they import.

    Raises:
        InvalidRailsConfigurationError: none is given, or one of them cannot be read.
    """
    if colang_content is None and yaml_content is None and config is None:
        raise InvalidRailsConfigurationError("give at least one of colang_content, yaml_content and config")
    if not isinstance(config, Mapping | None):
        raise InvalidRailsConfigurationError(f"expected a mapping, got {type(config).__name__}")
    draft = _draft_of_mapping(config or {})
    imported = frozenset(draft.data.get("imported_paths") or ()) if draft.sources else frozenset()
    if yaml_content is not None:
        _add_yaml(draft, yaml_content, "config.yml")
    if colang_content:
        draft.sources.append(Source("main.co", colang_content))
    _keep_own_keys(draft)
    return _with_imports(draft, None, set(), imported)


def _draft_of_mapping(config: Mapping[str, Any]) -> Draft:
    """A mapping; one that a configuration was written down in brings its Colang files with it."""
    data = merge({}, config)
    files = data.get(_SOURCES)
    if not isinstance(files, list | tuple) or not all(_is_source(file) for file in files):
        return Draft(data)
    del data[_SOURCES]
    data["flows"] = [flow for flow in data.get("flows") or () if not _is_outlined(flow)]
    return Draft(data, [Source(file["name"], file["text"]) for file in files])


def _is_source(file: Any) -> bool:
    return isinstance(file, Mapping) and all(isinstance(file.get(key), str) for key in ("name", "text"))


def _is_outlined(flow: Any) -> bool:
    return isinstance(flow, Mapping) and SOURCE_CODE in flow


def _draft_of_folder(files: FolderFiles, seen: set[Path]) -> Draft:
    draft = Draft(MarkedDict())
    errors: list[Problem] = []
    for file in files.yaml:
        try:
            _add_yaml(draft, read_text(file), str(file))
        except ConfigProblemsError as error:
            errors += error.problems
    if errors:
        raise ConfigProblemsError([*draft.problems, *errors])
    _keep_own_keys(draft)
    draft.sources += [Source(str(file), read_text(file)) for file in files.colang]
    _add_documents(draft, files)
    return _with_imports(draft, files.root, {*seen, files.root.resolve()})


def _add_yaml(draft: Draft, text: str, name: str) -> None:
    data, problems = parse(text, name)
    draft.data = merge(draft.data, data)
    draft.problems += problems


def _add_documents(draft: Draft, files: FolderFiles) -> None:
    """Put the documents of the folder before those under `docs`; what has the wrong shape is left to the schema."""
    listed = draft.data.get("docs") or []
    section = draft.data.get("knowledge_base") or {}
    folder = (section.get("folder") if isinstance(section, dict) else None) or _DEFAULT_KB
    if not isinstance(listed, list) or not isinstance(folder, str):
        return
    found = [
        {"format": "md", "content": read_text(file)}
        for file in files.documents
        if _is_in(folder, file.relative_to(files.root))
    ]
    if found:
        draft.data["docs"] = [*found, *listed]
    elif folder != _DEFAULT_KB:
        key = ("knowledge_base", "folder")
        message = f"there is no document (.md) below `{folder}`"
        draft.problems.append(Problem("warning", message, key, locate(draft.data, key)))


def _is_in(folder: str, file: Path) -> bool:
    """Whether `file` is below `folder`; for the default name also below `kb-2`, `kb_en` and the like."""
    if folder == _DEFAULT_KB:
        return len(file.parts) > 1 and file.parts[0].startswith(_DEFAULT_KB)
    return Path(folder) in file.parents


def _keep_own_keys(draft: Draft) -> None:
    """Move the user's own top-level keys to `custom_data`; what stands there already wins."""
    own = own_keys(draft.data, ConfigData)
    custom = draft.data.get("custom_data") or {}
    if not isinstance(custom, dict):
        return
    for key in own:
        place = draft.data.places.get(key)
        if key in custom:
            message = "given at the top level and in `custom_data`; the latter is used"
            draft.problems.append(Problem("warning", message, (key,), place))
        del draft.data[key]
    if own:
        draft.data["custom_data"] = merge(own, custom)


def _with_imports(
    draft: Draft, root: Path | None, seen: set[Path], imported_before: frozenset[str] = frozenset()
) -> Draft:
    """`draft` laid over what it imports; a folder is imported once, so circles are legal.

    What was `imported_before` is in the draft already. Under Colang 2.x an import path may name a Colang module,
    which `colang.load` finds, and the Colang files of a folder are left to it too; its YAML files are read here.
    """
    own = draft.data
    two = str(own.get("colang_version")) == TWO
    imported = Draft(MarkedDict())
    paths: dict[str, str] = {}
    for index, name in enumerate(_import_paths(own)):
        if name in imported_before or (two and name.startswith(_SHIPPED)):
            continue
        path = _resolved(name, root, optional=two, place=locate(own, ("import_paths", index)))
        if path is None:
            continue
        paths[name] = str(path)
        if path.resolve() not in seen:
            seen.add(path.resolve())
            below = _draft_of_folder(scan(path), seen)
            imported = _laid_over(imported, replace(below, sources=[]) if two else below)
    result = _laid_over(imported, draft)
    if paths:
        result.data["imported_paths"] = {**(result.data.get("imported_paths") or {}), **paths}
    named = imports_of(draft.sources) if two else []
    if named:
        given = _import_paths(result.data)
        result.data["import_paths"] = [*given, *(name for name in named if name not in given)]
    return result


def _import_paths(data: MarkedDict) -> list[str]:
    """The names under `import_paths`; what is no list of names is left to the schema, which refuses it."""
    given = data.get("import_paths")
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def _resolved(name: str, root: Path | None, *, optional: bool, place: Place | None) -> Path | None:
    try:
        path = resolve_import(name, root)
    except InvalidRailsConfigurationError as error:
        if not optional:
            problem = Problem("error", str(error), ("import_paths",), place)
            raise ConfigProblemsError([problem]) from error
        return None
    return None if optional and not path.is_dir() else path


def _laid_over(below: Draft, above: Draft) -> Draft:
    data = merge(below.data, above.data)
    return Draft(data, [*below.sources, *above.sources], [*below.problems, *above.problems])


def merge_drafts(left: Draft, right: Draft) -> Draft:
    """`left + right`, as users combine configurations.

    Raises:
        InvalidRailsConfigurationError: they cannot both be meant.
    """
    _same_models(left.data, right.data)
    urls = {draft.data.get("actions_server_url") for draft in (left, right)} - {None}
    if len(urls) > 1:
        raise InvalidRailsConfigurationError("Both configurations should have the same actions_server_url.")
    data = merge(left.data, right.data, later_first=True)
    data["models"] = _one_a_type([*right.data.get("models", ()), *left.data.get("models", ())])
    paths = [path for draft in (left, right) if (path := draft.data.get("config_path"))]
    data["config_path"] = ",".join(paths) or None
    sources = list(dict.fromkeys([*right.sources, *left.sources]))
    return Draft(data, sources, [*left.problems, *right.problems])


def _same_models(left: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    known = {model["type"]: model for model in left.get("models", ())}
    for model in right.get("models", ()):
        other = known.get(model["type"], model)
        if (model["engine"], model.get("model")) != (other["engine"], other.get("model")):
            raise InvalidRailsConfigurationError(
                f"Both configurations should have the same model of type `{model['type']}`: one has "
                f"{other['engine']} {other.get('model')}, the other {model['engine']} {model.get('model')}."
            )


def _one_a_type(models: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        found.setdefault(model["type"], model)
    return list(found.values())
