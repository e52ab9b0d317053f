"""Presidio's analyzer, built without reaching for the network.

Names, places and the like are recognised by a spaCy model: the one that is configured, else the largest English one that
is installed. Presidio would download one where there is none; here that is an error, so that its rail blocks, unless the
configuration says `language_model: none`: then addresses, numbers and keys are found by their patterns alone. Presidio
would also fetch the list of public domain suffixes to judge an e-mail address; the copy that comes with the package
serves.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

LANGUAGE = "en"
ANALYZERS_KEPT = 8
MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm")
NO_MODEL = "none"


@dataclass(frozen=True, slots=True)
class AnalyzerSetup:
    """Further recognizers as JSON, and the language model that the configuration names."""

    recognizers: str = "[]"
    language_model: str | None = None


@lru_cache(maxsize=ANALYZERS_KEPT)
def analyzer_of(setup: AnalyzerSetup) -> Any:
    """The analyzer of a configuration.

    Raises:
        ImportError: presidio or the language model is not installed.
    """
    if find_spec("presidio_analyzer") is None:
        raise ImportError(
            "the sensitive data rails need presidio: pip install 'interlock-rails[pii]', and a language model for "
            "names and places (python -m spacy download en_core_web_lg)"
        )
    model = model_of(setup)
    if model is None:
        wanted = setup.language_model or "en_core_web_lg"
        raise ImportError(
            f"the sensitive data rails need the language model {wanted}: python -m spacy download {wanted}, or set "
            f"rails.config.sensitive_data_detection.language_model to {NO_MODEL!r} to go by patterns alone"
        )
    presidio: Any = import_module("presidio_analyzer")
    with _quiet():
        analyzer = presidio.AnalyzerEngine(nlp_engine=_language(model), supported_languages=[LANGUAGE])
    if model == NO_MODEL:
        analyzer.registry.remove_recognizer("SpacyRecognizer")  # would look for names, and never find one
    analyzer.registry.remove_recognizer("EmailRecognizer")
    analyzer.registry.add_recognizer(_offline_email())
    for recognizer in json.loads(setup.recognizers):
        analyzer.registry.add_recognizer(presidio.PatternRecognizer.from_dict(recognizer))
    return analyzer


def model_of(setup: AnalyzerSetup) -> str | None:
    """The language model to use, `none` for doing without; None where it is not installed."""
    if setup.language_model == NO_MODEL:
        return NO_MODEL
    wanted = (setup.language_model,) if setup.language_model else MODELS
    return next((name for name in wanted if find_spec(name) is not None), None)


def require_known(analyzer: Any, entities: Collection[str]) -> None:
    """Refuse entities that nothing here would find.

    Raises:
        ValueError: names them, and what there is.
    """
    known = analyzer.get_supported_entities(language=LANGUAGE)
    if unknown := sorted(set(entities) - set(known)):
        raise ValueError(
            f"no recognizer finds {', '.join(unknown)}; there are {', '.join(sorted(known))}, and with a language model "
            "names and places"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Presidio warns of each recognizer that is for another language."""
    log = logging.getLogger("presidio-analyzer")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _language(model: str) -> Any:
    """SpaCy under presidio: with a model, or with words alone."""
    engines: Any = import_module("presidio_analyzer.nlp_engine")
    engine = engines.SpacyNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": model}])
    if model == NO_MODEL:
        spacy: Any = import_module("spacy")
        engine.nlp = {LANGUAGE: spacy.blank(LANGUAGE)}
    return engine


def _offline_email() -> Any:
    recognizers: Any = import_module("presidio_analyzer.predefined_recognizers")
    tldextract: Any = import_module("tldextract")
    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(recognizers.EmailRecognizer):  # type: ignore[misc]
        """Judges the domain by the suffixes that come with the package."""

        def validate_result(self, pattern_text: str) -> bool:
            parts = suffixes(pattern_text)
            return bool(parts.suffix and parts.domain)

    return OfflineEmailRecognizer()
