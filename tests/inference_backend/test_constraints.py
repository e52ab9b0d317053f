"""Constrained answers have the form that was asked for, through the engine, on a real model."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from inference_backend.errors import ConstraintError
from inference_backend.opening import OpenedModel
from inference_backend.values import Choice, JsonSchema, Regex
from tests.inference_backend.checkpoints import Checkpoint
from tests.inference_backend.conftest import ask, collect, open_chat, request_of, submit, text

CONSTRAINTS = [
    (Choice(("yes", "no", "perhaps é")), r"yes|no|perhaps é"),
    (Choice(("a", "ab", "abc 🙂", 'say "no"\\n')), r'a|ab|abc 🙂|say "no"\\\\n'),
    (Regex(r"[0-9]{3}-[a-f]+x"), r"[0-9]{3}-[a-f]+x"),
    (Regex(r"(?i:ok)|\p{Lu}\p{Ll}{2,4}( [é漢🙂])?"), r"(?i:ok)|[^\W\d_]{3,5}( [é漢🙂])?"),
]


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize(("constraint", "pattern"), CONSTRAINTS)
def test_a_constrained_answer_has_its_form(
    chat_checkpoint: Checkpoint, constraint: Any, pattern: str, ahead: bool
) -> None:
    opened = open_chat(chat_checkpoint, plan_ahead=ahead)
    submit(opened, *(request_of(opened, "Free", f"free{number}", seed=1) for number in range(2)))
    submit(opened, request_of(opened, "Say", constraint=constraint, seed=4, max_tokens=60))
    deltas = collect(opened.engine)["r", 0]
    assert deltas[-1].finish == "stop"
    assert re.fullmatch(pattern, text(deltas))


def test_a_json_answer_is_valid_under_its_schema(opened: OpenedModel) -> None:
    schema = {
        "type": "object",
        "properties": {"safe": {"type": "boolean"}, "score": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["safe", "score"],
        "additionalProperties": False,
    }
    for seed in range(3):
        answer = json.loads(
            text(ask(opened, "Judge", constraint=JsonSchema(json.dumps(schema)), seed=seed, max_tokens=200))
        )
        assert set(answer) == {"safe", "score"}
        assert isinstance(answer["safe"], bool)
        assert 0 <= answer["score"] <= 9


HARD: dict[str, dict[str, Any]] = {
    "alternatives": {"anyOf": [{"type": "null"}, {"enum": ["a", 1, None, {"x": [1]}]}, {"const": 'é\n"🙂'}]},
    "nested and bounded": {
        "type": "object",
        "properties": {
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{2,5}$"}, "minItems": 1, "maxItems": 3},
            "at": {"type": "object", "properties": {"x": {"type": "number", "minimum": -1, "maximum": 1}},
                   "required": ["x"], "additionalProperties": False},
        },
        "required": ["tags", "at"],
        "additionalProperties": False,
    },
    "recursive": {
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "properties": {"v": {"type": "boolean"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["v", "next"], "additionalProperties": False,
        }},
    },
    "lengths and formats": {
        "type": "object",
        "properties": {"id": {"type": "string", "format": "uuid"}, "day": {"type": "string", "format": "date"},
                       "code": {"type": "string", "minLength": 2, "maxLength": 4}},
        "required": ["id", "day", "code"], "additionalProperties": False,
    },
    "optional": {
        "type": "object",
        "properties": {name: {"type": "integer", "minimum": 0, "maximum": 9} for name in "abcdefgh"},
        "additionalProperties": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_hard_schemas_are_kept(opened: OpenedModel, name: str) -> None:
    schema = HARD[name]
    for seed in range(2):
        # Low temperature and a pull to the closing brackets: random weights would nest without end.
        pull = tuple((token, 6.0) for token in request_of(opened, '"}]n').prompt_ids)
        constraint = JsonSchema(json.dumps(schema))
        deltas = ask(
            opened,
            "Judge",
            constraint=constraint,
            seed=seed,
            max_tokens=400,
            logit_bias=pull,
            temperature=0.7,
        )
        assert deltas[-1].finish == "stop", text(deltas)
        jsonschema.validate(
            json.loads(text(deltas)),
            schema,
            format_checker=jsonschema.FormatChecker(formats=("date", "uuid")),
        )


@pytest.mark.parametrize(
    "constraint",
    [Choice(()), Regex("("), Regex("a(?=b)"), JsonSchema("{"), JsonSchema('{"type": "nothing"}')],
)
def test_a_malformed_constraint_is_the_callers_fault(opened: OpenedModel, constraint: Any) -> None:
    with pytest.raises(ConstraintError):
        opened.engine.prepare(request_of(opened, "x", constraint=constraint))
