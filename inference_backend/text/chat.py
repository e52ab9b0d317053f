"""Messages to one prompt, by the template that the model was trained with.

The template is the checkpoint's: data, not code of ours. It runs in Jinja's immutable sandbox, with the loop controls,
`raise_exception`, `strftime_now`, a `tojson` that leaves HTML characters alone and `{% generation %}` marks, as model
authors expect. What it may write is bounded.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import jinja2.nodes
import jinja2.sandbox
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context

from inference_backend.errors import ChatTemplateError, CheckpointError

_LONGEST = 200_000
_LONGEST_PROMPT = 64_000_000  # characters
_LARGEST_POWER = 16


class ChatTemplate:
    """A compiled template. `render` is thread-safe. `for_tools` is used instead where tools are given.

    Raises:
        CheckpointError: the template is no valid Jinja.
    """

    def __init__(
        self, source: str, special: Mapping[str, str] | None = None, for_tools: str | None = None
    ) -> None:
        self._special = dict(special or {})
        self._template = _compiled(source)
        self._for_tools = self._template if for_tools is None else _compiled(for_tools)

    @classmethod
    def from_folder(cls, folder: Path) -> ChatTemplate | None:
        """`chat_template.jinja`, or the `chat_template` of `tokenizer_config.json`; None where there is neither."""
        path = folder / "tokenizer_config.json"
        config = _json_object(path) if path.is_file() else {}
        named = _named_templates(folder, config)
        source = named.get("default")
        return None if source is None else cls(source, _special_tokens(config), named.get("tool_use"))

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
        values = {**self._special, "add_generation_prompt": generate, **(extra or {})}
        template = self._for_tools if tools else self._template
        try:
            return _bounded(template.generate({**values, "messages": messages, "tools": tools or None}))
        except Exception as error:  # templates are programs: they may divide by zero or recurse without end
            raise ChatTemplateError(
                f"the model's chat template refuses the messages: {str(error) or type(error).__name__}",
                param="messages",
            ) from error


class _Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """Products and powers stay within sizes that a prompt may have: one operator could take all the memory."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        sizes = [len(side) if isinstance(side, str | list | tuple) else abs(side) for side in (left, right)]
        if (operator == "**" and sizes[1] > _LARGEST_POWER) or sizes[0] * sizes[1] > _LONGEST_PROMPT:
            raise SecurityError(f"{operator} of such sizes is not allowed")
        return super().call_binop(context, operator, left, right)


class _GenerationMark(Extension):
    """`{% generation %}` marks what the assistant wrote, for training; here its body is just text."""

    tags = {"generation"}  # noqa: RUF012 -- the library's own spelling

    def parse(self, parser: Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _compiled(source: str) -> jinja2.Template:
    if len(source) > _LONGEST:
        raise CheckpointError(f"the chat template has {len(source)} characters")
    environment = _Sandbox(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.loopcontrols", _GenerationMark],
        autoescape=False,  # a prompt for a model, not HTML
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    try:
        return environment.from_string(source)
    except jinja2.TemplateError as error:
        raise CheckpointError(f"the chat template is not valid Jinja: {error}") from error


def _bounded(pieces: Iterable[str]) -> str:
    written, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > _LONGEST_PROMPT:
            raise jinja2.TemplateError(f"it writes more than {_LONGEST_PROMPT} characters")
        written.append(piece)
    return "".join(written)


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


def _named_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Templates by name: files of their own go before those of `tokenizer_config.json`."""
    found = config.get("chat_template")
    if isinstance(found, list):
        items = [item for item in found if isinstance(item, Mapping)]
        named = {str(item.get("name")): item.get("template") for item in items}
    else:
        named = {"default": found}
    files = {path.stem: path for path in (folder / "additional_chat_templates").glob("*.jinja")}
    files["default"] = folder / "chat_template.jinja"
    read = {name: path.read_text(encoding="utf-8") for name, path in files.items() if path.is_file()}
    return {name: text for name, text in {**named, **read}.items() if isinstance(text, str)}


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        value = config.get(name)
        text = value.get("content") if isinstance(value, Mapping) else value
        if isinstance(text, str):
            found[name] = text
    return found
