"""Messages to one prompt, by the template that the model was trained with.

The template is the checkpoint's: data, not code of ours. It runs in Jinja's immutable sandbox, with the loop controls,
`raise_exception`, `strftime_now` and a `tojson` that leaves HTML characters alone, as model authors expect.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.sandbox

from inference_backend.errors import ChatTemplateError, CheckpointError

_LONGEST = 200_000


class ChatTemplate:
    """A compiled template. `render` is thread-safe.

    Raises:
        CheckpointError: the template is no valid Jinja.
    """

    def __init__(self, source: str, special: Mapping[str, str] | None = None) -> None:
        if len(source) > _LONGEST:
            raise CheckpointError(f"the chat template has {len(source)} characters")
        environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols"],
            autoescape=False,  # a prompt for a model, not HTML
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = _now
        self._special = dict(special or {})
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise CheckpointError(f"the chat template is not valid Jinja: {error}") from error

    @classmethod
    def from_folder(cls, folder: Path) -> ChatTemplate | None:
        """`chat_template.jinja`, or the `chat_template` of `tokenizer_config.json`; None where there is neither."""
        path = folder / "tokenizer_config.json"
        config = _json_object(path) if path.is_file() else {}
        own = folder / "chat_template.jinja"
        source = own.read_text(encoding="utf-8") if own.is_file() else _default_template(config)
        return None if source is None else cls(source, _special_tokens(config))

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        generate: bool = True,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """The prompt; `generate` opens the assistant's turn at its end.

        Raises:
            ChatTemplateError: the template refuses these messages.
        """
        values = {**self._special, **(extra or {}), "messages": messages, "tools": tools or None}
        try:
            return self._template.render(**values, add_generation_prompt=generate)
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise ChatTemplateError(f"the model's chat template refuses the messages: {error}") from error


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def _now(form: str) -> str:
    return dt.datetime.now(tz=dt.UTC).strftime(form)


def _tojson(value: Any, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON: {error}") from error
    return value if isinstance(value, dict) else {}


def _default_template(config: Mapping[str, Any]) -> str | None:
    """The template, or the one called "default" of several."""
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {item.get("name"): item.get("template") for item in found if isinstance(item, Mapping)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        value = config.get(name)
        text = value.get("content") if isinstance(value, Mapping) else value
        if isinstance(text, str):
            found[name] = text
    return found
