"""Personal data, found by presidio's recognizers: detected, or masked.

The package is an extra (`pip install 'interlock-rails[pii]'`); without it the rails block. An analyzer is built once for
each set of recognizers (`recognizers`), and runs off the event loop.
"""

from __future__ import annotations

import asyncio
import json
from importlib.util import find_spec
from typing import Any

from rails_engine.actions import RailOutcome, TransformTarget, action
from rails_engine.config import RailsConfig
from rails_engine.config.schema import SensitiveDataDetectionOptions
from rails_engine.errors import InvalidRailsConfigurationError
from rails_engine.library.actions.reading import readable
from rails_engine.library.actions.recognizers import (
    LANGUAGE,
    AnalyzerSetup,
    analyzer_of,
    model_of,
    require_known,
)

_TARGETS = {
    "input": TransformTarget.USER_MESSAGE,
    "output": TransformTarget.BOT_MESSAGE,
    "retrieval": TransformTarget.RELEVANT_CHUNKS,
}


@action(is_system_action=True)
async def detect_sensitive_data(source: str, text: Any, config: RailsConfig) -> RailOutcome:
    """Whether `text` holds any of the entities that are configured for `source`.

    Raises:
        ImportError: presidio or its language model is not installed.
        ValueError: the source is unknown, nothing finds an entity, or the text holds what cannot be read.
    """
    options, content = _asked(source, text, config)
    found = await asyncio.to_thread(_found, content, options, _setup(config)) if options.entities else []
    names = sorted({item.entity_type for item in found})
    metadata = {"is_sensitive": bool(found), "entities": names}
    return RailOutcome.block(metadata=metadata) if found else RailOutcome.allow(metadata=metadata)


@action(is_system_action=True)
async def mask_sensitive_data(source: str, text: Any, config: RailsConfig) -> RailOutcome:
    """`text` with each configured entity replaced by its name, or by a `mask_token` where one is given.

    Raises:
        ImportError: presidio or its language model is not installed.
        ValueError: the source is unknown, nothing finds an entity, or the text holds what cannot be read.
    """
    options, content = _asked(source, text, config)
    if not options.entities:
        return RailOutcome.allow()
    masked = await asyncio.to_thread(_masked, content, options, _setup(config))
    return RailOutcome.transform([(_TARGETS[source], masked)]) if masked != content else RailOutcome.allow()


def prepare_analyzer(config: RailsConfig) -> None:
    """Build the analyzer, which takes seconds, where the configuration will need it and it can be built.

    Raises:
        InvalidRailsConfigurationError: nothing finds an entity.
    """
    detection = config.rails.config.sensitive_data_detection
    directions = (detection.input, detection.output, detection.retrieval) if detection else ()
    entities = [entity for direction in directions for entity in direction.entities]
    if not entities or find_spec("presidio_analyzer") is None or model_of(_setup(config)) is None:
        return
    try:
        require_known(analyzer_of(_setup(config)), entities)
    except ValueError as error:
        raise InvalidRailsConfigurationError(f"rails.config.sensitive_data_detection: {error}") from error


def _asked(source: str, text: Any, config: RailsConfig) -> tuple[SensitiveDataDetectionOptions, str]:
    if source not in _TARGETS:
        raise ValueError(f"unknown source {source!r}; use input, output or retrieval")
    detection = config.rails.config.sensitive_data_detection
    if detection is None:
        raise ValueError("rails.config.sensitive_data_detection is empty")
    options: SensitiveDataDetectionOptions = getattr(detection, source)
    return options, readable(text, config)


def _setup(config: RailsConfig) -> AnalyzerSetup:
    detection = config.rails.config.sensitive_data_detection
    if detection is None:
        return AnalyzerSetup()
    return AnalyzerSetup(json.dumps(detection.recognizers, sort_keys=True), detection.language_model)


def _found(text: str, options: SensitiveDataDetectionOptions, setup: AnalyzerSetup) -> list[Any]:
    analyzer = analyzer_of(setup)
    require_known(analyzer, options.entities)
    results = analyzer.analyze(text=text, language=LANGUAGE, entities=options.entities)
    return [result for result in results if result.score >= options.score_threshold]


def _masked(text: str, options: SensitiveDataDetectionOptions, setup: AnalyzerSetup) -> str:
    found = sorted(_found(text, options, setup), key=lambda item: (item.start, -item.end))
    own_token = options.mask_token if "mask_token" in options.model_fields_set else None
    parts: list[str] = []
    end = 0
    for item in found:
        if item.start < end:
            end = max(end, item.end)
            continue
        length = item.end - item.start
        parts += [text[end : item.start], own_token * length if own_token else f"<{item.entity_type}>"]
        end = item.end
    return "".join([*parts, text[end:]])
