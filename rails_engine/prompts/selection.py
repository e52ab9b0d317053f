"""Which prompt serves a task for a model: the most specific one, and of equals the last.

A prompt names models as `engine/model`, as an engine, or as the beginning of either; one that names none serves all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rails_engine.config import Model, TaskPrompt

STANDARD = "standard"
ANY_MODEL = 0.2
_BUILT_IN = Path(__file__).parent / "builtin"


def chosen(prompts: Iterable[TaskPrompt], task: str, model: Model | None, mode: str) -> TaskPrompt | None:
    """The best of `prompts` for `task`; None where none serves it."""
    best, best_score = None, 0.0
    for prompt in prompts:
        if prompt.task == task:
            score = _model_score(prompt, model) * _mode_score(prompt, mode)
            if score > 0 and score >= best_score:
                best, best_score = prompt, score
    return best


def _mode_score(prompt: TaskPrompt, mode: str) -> float:
    own = prompt.mode or STANDARD
    if own == mode:
        return 1.0
    return 0.5 if own == STANDARD else 0.0


def _model_score(prompt: TaskPrompt, model: Model | None) -> float:
    if not prompt.models:
        return ANY_MODEL
    if model is None:
        return 0.0
    return max(_pattern_score(pattern, model) for pattern in prompt.models)


def _pattern_score(pattern: str, model: Model) -> float:
    full = f"{model.engine}/{model.model}"
    if pattern in (full, model.model):
        return 1.0
    if pattern == model.engine:
        return 0.5
    if full.startswith(pattern) or (model.model or "").startswith(pattern):
        return 0.8
    family = (model.model or "").rpartition("/")[2]
    return 0.7 if family.startswith(pattern.rpartition("/")[2]) and "/" not in pattern else 0.0


@cache
def built_in() -> tuple[TaskPrompt, ...]:
    """The prompts of this package."""
    return tuple(prompt for file in sorted(_BUILT_IN.glob("*.yml")) for prompt in _read(file))


def of_folder(folder: Path) -> tuple[TaskPrompt, ...]:
    """The prompts of every YAML file below `folder`."""
    files = sorted(file for file in folder.rglob("*") if file.suffix in (".yml", ".yaml"))
    return tuple(prompt for file in files for prompt in _read(file))


def _read(file: Path) -> list[TaskPrompt]:
    data: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return [TaskPrompt.model_validate(entry) for entry in data.get("prompts") or ()]
