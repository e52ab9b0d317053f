"""Rails that a Colang 2.x configuration lists in `config.yml`, as the flows that `guardrails` calls.

`rails.input.flows` becomes `flow input rails $input_text`, which awaits each listed flow in order, and so for the other
directions. Flows of the built-in rails are imported where they are listed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from colang import FlowInfo, Source
from rails_engine.config import (
    ConfigProblemsError,
    FlowRef,
    Place,
    Problem,
    RailsConfig,
    parse_flow_ref,
)
from rails_engine.errors import InvalidRailsConfigurationError
from rails_engine.judge import CONTENT
from rails_engine.options import GenerationRailsOptions
from rails_engine.request import chosen
from rails_engine.spelling import nearest

_HERE = Path(__file__).parent / "colang_2"
_RUNNERS = {
    "input": "input rails $input_text",
    "output": "output rails $output_text",
    "retrieval": "retrieval rails $relevant_chunks",
    "tool_input": "tool input rails $tool_messages",
    "tool_output": "tool output rails $tool_calls",
}
_FLOW = re.compile(r"^flow ([^\n$(]+?)[ \t]*(?:[$(][^\n]*)?$", re.MULTILINE)
_NAMED_MODEL = re.compile(
    r"^[^#\n\"]*\b(?:content|topic) safety check (?:input|output)[ (]+\$model ?= ?[\"'](?P<type>[^\"'$]+)",
    re.MULTILINE,
)
NAME = "config.yml rails"


def listed_rails(config: RailsConfig) -> Source | None:
    """A 2.x source for the rails listed in `config`; None where none is.

    Raises:
        InvalidRailsConfigurationError: a direction has listed rails and a flow of the configuration's own too.
    """
    directions = config.rails.directions()
    wanted = {name: directions[name].flows for name in _RUNNERS if directions[name].flows}
    if not wanted:
        return None
    refs = {name: [parse_flow_ref(text) for text in flows] for name, flows in wanted.items()}
    _refuse_two_ways(config, wanted)
    own = {name for source in config.sources for name in _FLOW.findall(source.text)}
    imports = ["core", "guardrails", *_modules(refs, own)]
    lines = [f"import {module}" for module in dict.fromkeys(imports)]
    for name, listed in refs.items():
        at_once = directions[name].parallel and len(listed) > 1
        lines += _side_by_side(name, listed) if at_once else _in_order(name, listed)
    return Source(NAME, "\n".join(lines) + "\n")


def _in_order(name: str, listed: Sequence[FlowRef]) -> list[str]:
    lines = ["", f"flow {_RUNNERS[name]}", "  global $_rails_skipped"]
    for ref in listed:
        lines += [
            f"  if $_rails_skipped is None or {_value(ref.text)} not in $_rails_skipped",
            f"    await {_call(ref)}",
        ]
    return lines


def _side_by_side(name: str, listed: Sequence[FlowRef]) -> list[str]:
    """The hook asks for all rails at once; each is judged beside the conversation, by its number in the list."""
    direction, content = name.replace("_", " "), _RUNNERS[name].rpartition("$")[2]
    rails = ", ".join(_value(ref.text) for ref in listed)
    lines = [
        "",
        f"flow {_RUNNERS[name]}",
        f'  await RailsSideBySideAction(direction="{direction}", rails=[{rails}])',
        "",
        f"flow _judge listed {direction} $content $number",
        f"  global ${CONTENT[direction]}",
        "  global $failed_rail",
        "  global $_failed_runs",
        "  $failed_rail = None",
        "  $_failed_runs = []",
        "  activate _noting failed rails",
        f"  ${CONTENT[direction]} = $content",
        f"  when run listed {direction} $content $number",
        f"    send RailsVerdict(passed=True, content=${CONTENT[direction]})",
        "  else",
        "    _refused",
        "",
        f"flow run listed {direction} $content $number",
        "  global $_failed_runs",
        f"  await listed {direction} $content $number",
        "  if $self.uid in $_failed_runs",
        "    abort",
        "",
        f"flow listed {direction} ${content} $number",
    ]
    for number, ref in enumerate(listed):
        lines += [f"  if $number == {number}", f"    await {_call(ref)}"]
    return lines


def skipped_rails(config: RailsConfig, rails: GenerationRailsOptions) -> list[str]:
    """What a request does not want to run: whole directions, as their flows name them, and listed rails.

    Raises:
        InvalidRequestError: a rail is named that is not listed.
    """
    skipped: list[str] = []
    for name, direction in config.rails.directions().items():
        choice = getattr(rails, name)
        if choice is False:
            skipped.append(name.replace("_", " "))
        kept = chosen(direction.flows, choice)
        skipped += [] if choice is True else [flow for flow in direction.flows if flow not in kept]
    return skipped


def _refuse_two_ways(config: RailsConfig, wanted: Collection[str]) -> None:
    for source in config.sources:
        for name in _FLOW.findall(source.text):
            direction = name.removesuffix(" rails").replace(" ", "_")
            if direction in wanted and name.endswith(" rails"):
                raise InvalidRailsConfigurationError(
                    f"rails.{direction}.flows lists rails, and {source.name} defines `flow {name}` too; keep one of them"
                )


def _modules(refs: Mapping[str, list[FlowRef]], own: Collection[str]) -> Iterator[str]:
    known = library_flows()
    for listed in refs.values():
        for ref in listed:
            if ref.name in known and ref.name not in own:
                yield known[ref.name]


@lru_cache(maxsize=1)
def library_flows() -> Mapping[str, str]:
    """The flows of the built-in rails under 2.x, each with the module to import it from."""
    found: dict[str, str] = {}
    for file in sorted(_HERE.rglob("*.co")):
        module = ".".join(("nemoguardrails", "library", *file.relative_to(_HERE).with_suffix("").parts))
        found |= dict.fromkeys(_FLOW.findall(file.read_text(encoding="utf-8")), module)
    return found


def _call(ref: FlowRef) -> str:
    arguments = (f"${name}={_value(value)}" for name, value in ref.parameters.items())
    return " ".join((ref.name, *ref.positional, *arguments))


def _value(text: str) -> str:
    """A variable stays one; anything else is a text."""
    return text if text.startswith("$") else json.dumps(text, ensure_ascii=False)


def require_listed_flows(config: RailsConfig, known: Collection[str]) -> None:
    """Refuse rails that no flow stands for.

    Raises:
        ConfigProblemsError: names each such rail, where it is listed, and the nearest flow.
    """
    problems = [
        _missing(config, name, index, text, known)
        for name, rails in config.rails.directions().items()
        for index, text in enumerate(rails.flows)
        if parse_flow_ref(text).name not in known
    ]
    if problems:
        raise ConfigProblemsError(problems)


def _missing(config: RailsConfig, kind: str, index: int, text: str, known: Collection[str]) -> Problem:
    near = nearest(parse_flow_ref(text).name, known)
    hint = f"did you mean `{near}`?" if near else "define a flow of this name, or take it from the list"
    key = ("rails", kind, "flows", index)
    message = f"The provided {kind} rail flow `{text}` does not exist; {hint}"
    return Problem("error", message, key, config.place(key))


def require_named_models(config: RailsConfig, flows: Iterable[FlowInfo]) -> None:
    """Refuse flows that call a built-in rail with a type of model that the configuration does not have.

    Raises:
        ConfigProblemsError: names each such type, where it stands, and the nearest type there is.
    """
    types = {model.type for model in config.models}
    problems = [
        _unknown_model(flow, match, types)
        for flow in flows
        for match in _NAMED_MODEL.finditer(flow.text)
        if match["type"] not in types
    ]
    if problems:
        raise ConfigProblemsError(problems)


def _unknown_model(flow: FlowInfo, match: re.Match[str], types: Collection[str]) -> Problem:
    near = nearest(match["type"], types)
    hint = f"did you mean `{near}`?" if near else f"types given: {', '.join(sorted(types)) or 'none'}"
    line = flow.span.line + flow.text.count("\n", 0, match.start("type"))
    column = match.start("type") - flow.text.rfind("\n", 0, match.start("type"))
    message = f"no model of type `{match['type']}` in `models`; {hint}"
    return Problem("error", message, place=Place(flow.span.source, line, column))
