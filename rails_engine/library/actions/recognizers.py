"""Presidio's analyzer, built without reaching for the network.

Names, places and the like are recognised by a spaCy model: the largest English one that is installed. Presidio would
download one where there is none; here an entity that needs one is then an error, so that its rail blocks, while
entities with patterns (addresses, numbers, keys) are found with no model at all. Presidio would also fetch the list of
public domain suffixes to judge an e-mail address; the copy that comes with the package serves.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any

LANGUAGE = "en"
ANALYZERS_KEPT = 8
MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm")


@lru_cache(maxsize=ANALYZERS_KEPT)
def analyzer_of(recognizers: str) -> Any:
    """The analyzer with further recognizers, given as JSON.

    Raises:
        ImportError: presidio is not installed.
    """
    try:
        presidio: Any = import_module("presidio_analyzer")
    except ImportError as error:
        raise ImportError(
            "the sensitive data rails need presidio: pip install 'interlock-rails[pii]', and a language model for "
            "names and places (python -m spacy download en_core_web_lg)"
        ) from error
    with _quiet():
        analyzer = presidio.AnalyzerEngine(nlp_engine=_language(), supported_languages=[LANGUAGE])
    if installed_model() is None:
        analyzer.registry.remove_recognizer("SpacyRecognizer")  # would look for names, and never find one
    analyzer.registry.remove_recognizer("EmailRecognizer")
    analyzer.registry.add_recognizer(_offline_email())
    for recognizer in json.loads(recognizers):
        analyzer.registry.add_recognizer(presidio.PatternRecognizer.from_dict(recognizer))
    return analyzer


@lru_cache(maxsize=1)
def installed_model() -> str | None:
    """The largest English model of spaCy that is installed."""
    spacy: Any = import_module("spacy")
    return next((name for name in MODELS if spacy.util.is_package(name)), None)


def require_known(analyzer: Any, entities: Collection[str]) -> None:
    """Refuse entities that nothing here would find.

    Raises:
        ValueError: names them, and what there is.
    """
    known = analyzer.get_supported_entities(language=LANGUAGE)
    if unknown := sorted(set(entities) - set(known)):
        model = installed_model() or "none: `python -m spacy download en_core_web_lg` adds names and places"
        raise ValueError(
            f"no recognizer finds {', '.join(unknown)}; there are {', '.join(sorted(known))} (language model: {model})"
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


def _language() -> Any:
    """SpaCy under presidio: with a model where one is installed, else with words alone."""
    engines: Any = import_module("presidio_analyzer.nlp_engine")
    name = installed_model()
    models = [{"lang_code": LANGUAGE, "model_name": name or "blank"}]
    engine = engines.SpacyNlpEngine(models=models)
    if name is None:
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
