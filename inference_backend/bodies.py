"""OpenAI-style request bodies, as the server gets them and as the rails engine makes them, read into parameters.

Beside OpenAI's fields it reads those that vLLM added and clients use. Fields that mean nothing here are ignored; a
field of the wrong type or range is the caller's error and names the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from inference_backend.errors import InvalidParameterError
from inference_backend.toolcalls import call_schema
from inference_backend.values import Choice, Constraint, JsonSchema, Regex, SamplingParameters

Body = Mapping[str, Any]

_NUMBERS = (
    "temperature",
    "top_p",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "length_penalty",
)
_INTEGERS = ("top_k", "seed", "n", "min_tokens")
_FLAGS = ("ignore_eos", "skip_special_tokens")


def read_sampling(body: Body, *, chat: bool) -> SamplingParameters:
    """The sampling parameters of a chat or a completion body.

    Raises:
        InvalidParameterError: a field has a wrong type or value.
    """
    fields: dict[str, Any] = {name: number(body, name) for name in _NUMBERS if given(body, name)}
    fields |= {name: integer(body, name) for name in _INTEGERS if given(body, name)}
    fields |= {name: flag(body, name) for name in _FLAGS if given(body, name)}
    if fields.get("top_k", 0) < 0:
        fields["top_k"] = 0  # vLLM's clients write -1 for "all"
    for name in ("max_completion_tokens", "max_tokens"):
        if given(body, name):
            fields.setdefault("max_tokens", integer(body, name))
    if not chat and "max_tokens" not in fields:
        fields["max_tokens"] = 16  # OpenAI's default for completions
    if given(body, "use_beam_search") and flag(body, "use_beam_search"):
        fields["beam_width"] = max(
            integer(body, "best_of") if given(body, "best_of") else 1, fields.get("n", 1), 2
        )
    return SamplingParameters(
        **fields,
        stop=_stop(body),
        stop_token_ids=_token_ids(body, "stop_token_ids"),
        include_stop=given(body, "include_stop_str_in_output") and flag(body, "include_stop_str_in_output"),
        logprobs=_logprobs(body, chat=chat),
        prompt_logprobs=_prompt_logprobs(body, chat=chat),
        logit_bias=_logit_bias(body),
        constraint=_constraint(body),
    )


def given(body: Body, name: str) -> bool:
    """Whether a field is there and not null."""
    return body.get(name) is not None


def number(body: Body, name: str) -> float:
    """A field that is there, as a finite number.

    Raises:
        InvalidParameterError: it is none.
    """
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidParameterError(f"{name} is {value!r}, but must be a number", param=name)
    if not math.isfinite(value):
        raise InvalidParameterError(f"{name} is {value}, but must be finite", param=name)
    return float(value)


def integer(body: Body, name: str) -> int:
    """A field that is there, as a whole number.

    Raises:
        InvalidParameterError: it is none.
    """
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidParameterError(f"{name} is {value!r}, but must be a whole number", param=name)
    return value


def flag(body: Body, name: str) -> bool:
    """A field that is there, as true or false.

    Raises:
        InvalidParameterError: it is none.
    """
    value = body[name]
    if not isinstance(value, bool):
        raise InvalidParameterError(f"{name} is {value!r}, but must be true or false", param=name)
    return value


def text(body: Body, name: str) -> str:
    """A field that is there, as a text.

    Raises:
        InvalidParameterError: it is none.
    """
    value = body[name]
    if not isinstance(value, str):
        raise InvalidParameterError(f"{name} must be a text", param=name)
    return value


def _stop(body: Body) -> tuple[str, ...]:
    value = body.get("stop")
    if value is None:
        return ()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not all(isinstance(item, str) for item in values):
        raise InvalidParameterError("stop must be a text or a list of texts", param="stop")
    return tuple(values)


def _token_ids(body: Body, name: str) -> tuple[int, ...]:
    value = body.get(name)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(type(item) is int for item in value):
        raise InvalidParameterError(f"{name} must be a list of token ids", param=name)
    return tuple(value)


def _logprobs(body: Body, *, chat: bool) -> int | None:
    if not given(body, "logprobs"):
        return None
    if not chat:
        return integer(body, "logprobs")
    if isinstance(body["logprobs"], int) and not isinstance(body["logprobs"], bool):
        return integer(body, "logprobs")
    if not flag(body, "logprobs"):
        return None
    return integer(body, "top_logprobs") if given(body, "top_logprobs") else 0


def _prompt_logprobs(body: Body, *, chat: bool) -> int | None:
    """As asked for in vLLM's field; a completion that echoes its prompt gives the prompt's with its own."""
    if given(body, "prompt_logprobs"):
        return integer(body, "prompt_logprobs")
    echoed = not chat and given(body, "echo") and flag(body, "echo")
    return _logprobs(body, chat=chat) if echoed else None


def _logit_bias(body: Body) -> tuple[tuple[int, float], ...]:
    value = body.get("logit_bias")
    if value is None:
        return ()
    if not isinstance(value, Mapping) or not all(str(key).isdecimal() for key in value):
        raise InvalidParameterError("logit_bias must map token ids to numbers", param="logit_bias")
    return tuple((int(key), number(value, key)) for key in value)


def _forced_tool(body: Body) -> JsonSchema | None:
    """`tool_choice` "required", or the name of one: the answer is a call, its arguments under the tool's schema."""
    choice = body.get("tool_choice")
    if choice is None or choice in ("none", "auto"):
        return None
    tools = _tools(body)
    if isinstance(choice, Mapping) and isinstance(choice.get("function"), Mapping):
        name = choice["function"].get("name")
        if name not in tools:
            raise InvalidParameterError(
                f"tool_choice names {name!r}, but tools has {', '.join(tools) or 'none'}", param="tool_choice"
            )
        return JsonSchema(call_schema({name: tools[name]}))
    if choice != "required" or not tools:
        raise InvalidParameterError(
            "tool_choice must be none, auto, required or a function's name, and needs tools",
            param="tool_choice",
        )
    return JsonSchema(call_schema(tools))


def _tools(body: Body) -> dict[str, Any]:
    """The functions that a model may call, with the schemas of their arguments."""
    found = {}
    listed = body.get("tools") or ()
    for tool in listed if isinstance(listed, list | tuple) else (None,):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise InvalidParameterError("tools must be a list of functions with names", param="tools")
        parameters = function.get("parameters")
        found[function["name"]] = parameters if isinstance(parameters, Mapping) else {"type": "object"}
    return found


def _constraint(body: Body) -> Constraint | None:
    guided = _forced_tool(body) or _guided(body)
    if guided is not None:
        return guided
    form = body.get("response_format")
    if form is None:
        return None
    kind = form.get("type") if isinstance(form, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return JsonSchema('{"type": "object"}')
    if kind == "json_schema" and isinstance(form.get("json_schema"), Mapping):
        return _schema(form["json_schema"].get("schema"), "response_format")
    raise InvalidParameterError(
        f"response_format.type is {kind!r}, but must be text, json_object or json_schema",
        param="response_format",
    )


def _guided(body: Body) -> Constraint | None:
    """The fields that vLLM has: `structured_outputs: {choice | regex | json}`, and before it `guided_choice` and so on."""
    fields = body.get("structured_outputs")
    named = dict(fields) if isinstance(fields, Mapping) else {}
    for kind in ("choice", "regex", "json"):
        named.setdefault(kind, body.get(f"guided_{kind}"))
    if named["choice"] is not None:
        options = named["choice"]
        if not isinstance(options, list | tuple) or not all(isinstance(item, str) for item in options):
            raise InvalidParameterError("guided_choice must be a list of texts", param="guided_choice")
        return Choice(tuple(options))
    if named["regex"] is not None:
        return Regex(text(named, "regex"))
    return None if named["json"] is None else _schema(named["json"], "guided_json")


def _schema(value: Any, param: str) -> JsonSchema:
    if isinstance(value, str):
        return JsonSchema(value)
    if not isinstance(value, Mapping):
        raise InvalidParameterError(f"{param} holds no JSON schema", param=param)
    return JsonSchema(json.dumps(value))
