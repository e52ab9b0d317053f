"""Parsers of what guard models answer: a list of True or False and the names of violated categories.

Nothing is taken for safe that does not say so: an answer of another form is `NoVerdict`, a list of False, where the form
is free text, and raises ValueError where the form is fixed, so that the rail fails closed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

Verdict: TypeAlias = list[bool | str]


class NoVerdict(list[bool | str]):
    """What a parser gives for an answer that says neither: as good as unsafe, though nobody said so."""

    def __init__(self) -> None:
        super().__init__([False])


_PUNCTUATION = "\"'`*.,:;!?()[]{}<>"
_UNSAFE_WORDS = {"unsafe", "un", "not", "isn't", "isnt", "yes"}
_SAFE_WORDS = {"safe", "no"}
_SEPARATORS = re.compile(r"[,\s]+")
_LETTERS = re.compile(r"[^\W_]+")
_FENCE = re.compile(r"^```\w*\s*|\s*```$")
_THINKING = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)


def is_content_safe(response: str) -> Verdict:
    """A verdict in words: `safe` or `no` passes, `unsafe` with its categories, `yes` and all else does not.

    Only the first two words count, whether they are parted by white space or by anything that is no letter, and any
    word there that denies safety outweighs one that asserts it.
    """
    first = [word.strip(_PUNCTUATION).lower() for word in response.split(maxsplit=2)[:2]]
    parts = _LETTERS.findall(" ".join(first))[:2]
    if first[:1] == ["unsafe"]:
        return [False, *_categories(response)]
    if _UNSAFE_WORDS.intersection(first + parts):
        return [False]
    return [True] if _SAFE_WORDS.intersection(first) and _SAFE_WORDS.intersection(parts) else NoVerdict()


def _categories(response: str) -> list[str]:
    _, _, rest = response.strip(" \n\"'*").partition(response.split(maxsplit=1)[0].strip("\"'*"))
    names = (name.strip(_PUNCTUATION) for name in _SEPARATORS.split(rest.lstrip(":")))
    return [name for name in names if name]


def nemoguard_parse_prompt_safety(response: str) -> Verdict:
    """The JSON of the NemoGuard content-safety models, for the user's text.

    Raises:
        ValueError: it is not that JSON.
    """
    return _of_fields(_nemoguard(response), "User Safety")


def nemoguard_parse_response_safety(response: str) -> Verdict:
    """The JSON of the NemoGuard content-safety models, for the bot's text.

    Raises:
        ValueError: it is not that JSON.
    """
    return _of_fields(_nemoguard(response), "Response Safety")


def _nemoguard(response: str) -> Mapping[str, Any]:
    try:
        data = json.loads(_FENCE.sub("", response.strip()), object_pairs_hook=_once)
    except ValueError as error:
        raise ValueError(f"the content safety model did not answer with JSON: {response[:200]!r}") from error
    if not isinstance(data, dict):
        raise ValueError(f"the content safety model did not answer with a JSON object: {response[:200]!r}")  # noqa: TRY004 -- as bad JSON
    return data


def nemotron_content_safety_parse_prompt_safety(response: str) -> Verdict:
    """The labelled lines of the Nemotron content-safety models, for the user's text.

    Raises:
        ValueError: the line `User Safety:` is missing, or there are two that differ.
    """
    return _of_fields(_lines(response), "User Safety")


def nemotron_content_safety_parse_response_safety(response: str) -> Verdict:
    """The labelled lines of the Nemotron content-safety models, for the bot's text.

    Raises:
        ValueError: there is no line with a verdict, or two that differ.
    """
    return _of_fields(_lines(response), "Response Safety")


def _lines(response: str) -> Mapping[str, Any]:
    pairs = (line.partition(":") for line in _THINKING.sub("", response).splitlines())
    return _once((name.strip().title(), value.strip()) for name, colon, value in pairs if colon)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs by their names; where one has two values they contradict each other, and it has None."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        fields[name] = value if fields.setdefault(name, value) == value else None
    return fields


def _of_fields(fields: Mapping[str, Any], key: str) -> Verdict:
    value = fields.get(key)
    if not isinstance(value, str):
        raise ValueError(f"the content safety model's answer has no {key!r}: {dict(fields)!r}")  # noqa: TRY004 -- as bad JSON
    if value.strip().lower() == "safe":
        return [True]
    names = fields.get("Safety Categories") or ""
    listed = names if isinstance(names, list) else str(names).split(",")
    return [False, *(str(name).strip() for name in listed if str(name).strip())]


def nemotron_reasoning_parse_prompt_safety(response: str) -> Verdict:
    """`Prompt harm: unharmful` of the Nemotron reasoning guard passes; all else does not."""
    return _of_harm(response, "Prompt Harm")


def nemotron_reasoning_parse_response_safety(response: str) -> Verdict:
    """`Response harm: unharmful` of the Nemotron reasoning guard passes; all else does not."""
    return _of_harm(response, "Response Harm")


def _of_harm(response: str, key: str) -> Verdict:
    words = str(_lines(response).get(key) or "").lower().split()
    said = words[0].strip(_PUNCTUATION) if words else ""
    return [said == "unharmful"] if said in {"harmful", "unharmful"} else NoVerdict()


VERDICT_PARSERS: Mapping[str, Callable[[str], Verdict]] = {
    "is_content_safe": is_content_safe,
    "nemoguard_parse_prompt_safety": nemoguard_parse_prompt_safety,
    "nemoguard_parse_response_safety": nemoguard_parse_response_safety,
    "nemotron_content_safety_parse_prompt_safety": nemotron_content_safety_parse_prompt_safety,
    "nemotron_content_safety_parse_response_safety": nemotron_content_safety_parse_response_safety,
    "nemotron_reasoning_parse_prompt_safety": nemotron_reasoning_parse_prompt_safety,
    "nemotron_reasoning_parse_response_safety": nemotron_reasoning_parse_response_safety,
}
