"""Tool calls in a model's text, told apart from what it says.

Two spellings cover the models that are served here: JSON objects between `<tool_call>` and `</tool_call>` (Qwen, Hermes),
and an answer that is one JSON object with `name` and `parameters` or `arguments` (Llama 3.x), or a list of them
(Mistral). Text that may be the beginning of either is held back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_OPEN, _CLOSE = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class CalledTool:
    """`arguments` is JSON text."""

    name: str
    arguments: str


class ToolCallReader:
    """Takes text in pieces; `push` returns what is certainly speech, `finish` the calls and the rest."""

    def __init__(self) -> None:
        self._held = ""
        self._speech = False

    def push(self, piece: str) -> str:
        """Take a piece in; what of the text so far is certainly speech and has not been given yet."""
        self._held += piece
        if not self._speech and self._held.lstrip()[:1] in {"", "{", "["}:
            return ""
        self._speech = True
        at = self._held.find(_OPEN)
        keep = len(self._held) - at if at >= 0 else _half(self._held)
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def finish(self) -> tuple[str, list[CalledTool]]:
        """Text that was held back and is none, and the calls."""
        whole = [] if self._speech else _calls(self._held)
        if whole:
            return "", whole
        calls: list[CalledTool] = []
        rest = ""
        for number, part in enumerate(self._held.split(_OPEN)):
            body, closed, after = part.partition(_CLOSE)
            found = _calls(body) if number else []
            if found:
                calls += found
                rest += after
            else:
                rest += (_OPEN if number else "") + body + closed + after
        return rest.strip() if calls else rest, calls


def _half(text: str) -> int:
    """Length of the end of `text` that begins `<tool_call>`."""
    return next((n for n in range(len(_OPEN) - 1, 0, -1) if text.endswith(_OPEN[:n])), 0)


def call_schema(tools: Mapping[str, Mapping[str, Any]]) -> str:
    """The JSON schema of a call of one of these functions, which are given with their arguments' schemas.

    What those refer to (`#/$defs/...`) moves up to the root; of two definitions of one name the last counts.
    """
    shared: dict[str, dict[str, Any]] = {"$defs": {}, "definitions": {}}
    calls = []
    for name, arguments in tools.items():
        own = dict(arguments)
        for key, definitions in shared.items():
            definitions.update(own.pop(key, {}))
        fields = {"name": {"const": name}, "arguments": own}
        calls.append(
            {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
        )
    whole = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return json.dumps({**whole, **{key: value for key, value in shared.items() if value}})


def _calls(text: str) -> list[CalledTool]:
    """The calls that a text is: one object, or a list of them; none where it is anything else."""
    try:
        value: Any = json.loads(text.strip().removeprefix("[TOOL_CALLS]"))
    except (ValueError, RecursionError):
        return []
    found = [_call(item) for item in (value if isinstance(value, list) else [value])]
    calls = [call for call in found if call is not None]
    return calls if len(calls) == len(found) else []


def _call(value: object) -> CalledTool | None:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    arguments = value.get("arguments", value.get("parameters"))
    if not isinstance(arguments, dict | str):
        return None
    return CalledTool(value["name"], arguments if isinstance(arguments, str) else json.dumps(arguments))
