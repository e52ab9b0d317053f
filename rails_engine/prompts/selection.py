"""Which prompt serves a task for a model: the most specific one, and of equals the last.

A prompt names models as `engine/model`, as a model, as an engine, or as a part of these; one that names none serves all.
One that names other models than the one at hand comes last, but comes: it is what the author wrote for the task.

Scores are products: how well the model is named, times 1 for a prompt of the mode asked for and 0.8 for a standard one in
its place. So an exact name in the wrong mode weighs as much as the engine in the right one, and so on down the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from rails_engine.config import Model, TaskPrompt

STANDARD = "standard"
_OTHER_MODE = 0.8
_WHOLE = 1.0
_MODEL = 0.9
_ENGINE = _OTHER_MODE
_PART = _MODEL * _OTHER_MODE
_ANY = _PART * _OTHER_MODE
_FOREIGN = 0.1
_BUILT_IN = Path(__file__).parent / "builtin"


def chosen(prompts: Iterable[TaskPrompt], task: str, model: Model | None, mode: str) -> TaskPrompt | None:
    """The best of `prompts` for `task`; None where none serves it."""
    best, best_score = None, 0.0
    for prompt in prompts:
        if prompt.task == task:
            score = _score(prompt, model, mode)
            if score > 0 and score >= best_score:
                best, best_score = prompt, score
    return best


def _score(prompt: TaskPrompt, model: Model | None, mode: str) -> float:
    own = prompt.mode or STANDARD
    if own not in (mode, STANDARD):
        return 0.0
    named = _model_score(prompt, model)
    return named * (1.0 if own == mode else _OTHER_MODE) if named else _FOREIGN


def _model_score(prompt: TaskPrompt, model: Model | None) -> float:
    if not prompt.models:
        return _ANY
    return 0.0 if model is None else max(_pattern_score(pattern, model) for pattern in prompt.models)


def _pattern_score(pattern: str, model: Model) -> float:
    full = f"{model.engine}/{model.model}"
    if pattern == full:
        return _WHOLE
    if pattern == model.model:
        return _MODEL
    if pattern == model.engine:
        return _ENGINE
    return _PART if pattern in full else 0.0


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
