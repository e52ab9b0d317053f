"""Code, SQL, templates and markup in what the bot says, found by YARA rules: rejected, or cut out.

The package is an extra (`pip install 'interlock-rails[injection]'`); without it the rail blocks. Rules are compiled once
for each set, with no access to files, and run off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rails_engine.actions import RailOutcome, TransformTarget, action
from rails_engine.config import RailsConfig, parse_flow_ref
from rails_engine.config.schema import InjectionDetection
from rails_engine.errors import InvalidRailsConfigurationError
from rails_engine.library.actions.reading import readable

RULES = Path(__file__).parent.parent / "injections"
COMPILED_KEPT = 16
MATCH_SECONDS = 5
ROUNDS = 8
"""How often a text is cut: what is left may be an injection again."""


@action(is_system_action=True)
async def injection_detection(text: Any, config: RailsConfig) -> RailOutcome:
    """Whether any of the configured injections is in `text`; with `action: omit` the text without them.

    Raises:
        ImportError: yara is not installed.
        InvalidRailsConfigurationError: a rule is missing or no YARA.
        ValueError: the text holds what cannot be read.
    """
    options = config.rails.config.injection_detection or InjectionDetection()
    content = readable(text, config)
    if not options.injections:
        return _outcome([], content, options.action)
    rules = compiled(tuple(sorted(sources_of(options).items())))
    found = await asyncio.to_thread(_matches, rules, content)
    if not found or options.action == "reject":
        return _outcome(_names(found), content, options.action)
    cut = await asyncio.to_thread(_without, rules, content)
    if cut is None:
        return _outcome(_names(found), content, "reject")
    metadata = {"is_injection": True, "text": cut, "detections": _names(found), "action": "omit"}
    return RailOutcome.transform([(TransformTarget.BOT_MESSAGE, cut)], metadata=metadata)


def _outcome(detections: list[str], text: str, wanted: str) -> RailOutcome:
    metadata = {"is_injection": bool(detections), "text": text, "detections": detections, "action": wanted}
    if not detections:
        return RailOutcome.allow(metadata=metadata)
    return RailOutcome.block(reason=", ".join(detections), metadata=metadata)


def sources_of(options: InjectionDetection) -> Mapping[str, str]:
    """The YARA source of each configured injection: given in the configuration, in its folder, or ours.

    Raises:
        InvalidRailsConfigurationError: there is none of that name.
    """
    own = options.yara_rules or {}
    folder = Path(options.yara_path) if options.yara_path else RULES
    files = {file.stem: file for pattern in ("*.yara", "*.yar") for file in folder.glob(pattern)}
    found: dict[str, str] = {}
    for name in options.injections:
        if name not in own and name not in files:
            known = ", ".join(sorted({*own, *files})) or "none"
            raise InvalidRailsConfigurationError(
                f"rails.config.injection_detection.injections: no rule `{name}`; there are: {known}"
            )
        found[name] = own[name] if name in own else files[name].read_text(encoding="utf-8")
    return found


@lru_cache(maxsize=COMPILED_KEPT)
def compiled(sources: tuple[tuple[str, str], ...]) -> Any:
    """The rules of these names and texts, ready to match.

    Raises:
        ImportError: yara is not installed.
        InvalidRailsConfigurationError: a text is no YARA.
    """
    try:
        yara: Any = import_module("yara")
    except ImportError as error:
        raise ImportError(
            "injection detection needs yara: pip install 'interlock-rails[injection]'"
        ) from error
    for name, text in sources:
        try:
            yara.compile(source=text, includes=False)
        except yara.Error as error:
            raise InvalidRailsConfigurationError(
                f"rails.config.injection_detection: the rules of `{name}` are no YARA: {error}"
            ) from error
    return yara.compile(sources=dict(sources), includes=False)


def require_rules(config: RailsConfig) -> None:
    """Refuse rules that are missing or cannot be compiled, where a rail that uses them is listed.

    Raises:
        InvalidRailsConfigurationError: names the rule.
    """
    listed = [parse_flow_ref(text).name for text in config.rails.output.flows]
    options = config.rails.config.injection_detection
    if "injection detection" not in listed or options is None:
        return
    sources = tuple(sorted(sources_of(options).items()))
    if find_spec("yara") is not None:
        compiled(sources)


def _matches(rules: Any, text: str) -> list[Any]:
    data = text.encode("utf-8", "surrogatepass")
    return list(rules.match(data=data, timeout=MATCH_SECONDS))


def _names(found: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(match.rule for match in found))


def _without(rules: Any, text: str) -> str | None:
    """The text without what matched; None if cutting does not come to an end."""
    for _ in range(ROUNDS):
        spans = sorted(
            (each.offset, each.offset + each.matched_length)
            for match in _matches(rules, text)
            for string in match.strings
            for each in string.instances
        )
        if not spans:
            return text
        text = _cut(text.encode("utf-8", "surrogatepass"), spans).decode("utf-8", "surrogatepass")
    return None


def _cut(data: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    parts, end = [], 0
    for start, stop in spans:
        parts.append(data[end : max(start, end)])
        end = max(end, stop)
    return b"".join([*parts, data[end:]])
