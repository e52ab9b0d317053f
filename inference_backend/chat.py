"""A served model as its callers see it: bodies and messages in, streams of deltas out.

The HTTP server and the rails engine both stand on this; neither knows tokens.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inference_backend.async_engine import AsyncEngine
from inference_backend.bodies import Body, flag, given, integer, number, read_sampling, text
from inference_backend.errors import ChatTemplateError, InvalidParameterError, UnknownModelError
from inference_backend.opening import OpenedModel
from inference_backend.text import ControlText, Tokenizer
from inference_backend.values import Delta, Pooling, Request, SamplingParameters

_MAX_PROMPTS = 2048


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request and what its answer is made with.

    `echo`: the answer begins with the prompt. `silent`: it ends there (the one token that is generated is not wanted).
    """

    request: Request
    model: str
    echo: bool = False
    silent: bool = False


class ChatModel:
    """One opened model and its worker. `close` ends it.

    `fitting`: where a prompt fits but not all the tokens that its answer may have, they are cut to what is left instead
    of refusing the request: for callers who ask for more than they need, such as guards with a limit for any model.
    """

    def __init__(self, opened: OpenedModel, *, fitting: bool = False) -> None:
        self.fitting = fitting
        self.name = opened.name
        self.opened = opened
        self.engine = AsyncEngine(opened.engine)

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer.

        Raises:
            InvalidParameterError: it has none (random weights without a checkpoint): prompts must be token ids.
        """
        if self.opened.tokenizer is None:
            raise InvalidParameterError(
                "this model has no tokenizer: give the prompt as token ids", param="prompt"
            )
        return self.opened.tokenizer

    @property
    def models(self) -> tuple[str, ...]:
        """Names that a request's `model` may have: the base model's, then those of loaded adapters."""
        return self.name, *self.opened.engine.adapter_registry.names

    def generate(self, prepared: Prepared) -> AsyncIterator[Delta]:
        """See `AsyncEngine.generate`."""
        return self.engine.generate(prepared.request)

    def chat(self, body: Body) -> Prepared:
        """A chat completion body as a request.

        Raises:
            RequestError: the body cannot be served; names the field.
        """
        messages = body.get("messages")
        if not isinstance(messages, list | tuple) or not messages:
            raise InvalidParameterError("messages must be a list of one message or more", param="messages")
        return self._prepared(body, self._chat_ids(messages, body), chat=True)

    def completions(self, body: Body) -> list[Prepared]:
        """A completion body as requests, one per prompt.

        Raises:
            RequestError: the body cannot be served; names the field.
        """
        echo = given(body, "echo") and flag(body, "echo")
        silent = echo and body.get("max_tokens") == 0
        if silent:
            body = {**body, "max_tokens": 1}
        prepared = [
            self._prepared(body, ids, chat=False) for ids in self._prompts(body.get("prompt"), "prompt")
        ]
        return [replace(one, echo=echo, silent=silent) for one in prepared]

    def embeddings(self, body: Body) -> list[Prepared]:
        """An embeddings body as requests, one per text.

        Raises:
            RequestError: the body cannot be served; names the field.
        """
        pooling = _pooling(body)
        return [
            Prepared(Request(_new_id("embd"), ids, pooling=pooling, **self._routing(body)), self._model(body))
            for ids in self._prompts(body.get("input"), "input")
        ]

    def close(self) -> None:
        """End the worker and give the device back; answers under way end with an error."""
        self.engine.close()

    # --- parts of a body ------------------------------------------------------------------------------------

    def _prepared(self, body: Body, ids: tuple[int, ...], *, chat: bool) -> Prepared:
        sampling = read_sampling({**self.opened.defaults, **_given(body)}, chat=chat)
        name = _new_id("chatcmpl" if chat else "cmpl")
        prompt = self._prefixed(body, ids)
        if self.fitting:
            sampling = _fitted(sampling, self.opened.engine.scheduler.max_tokens - len(prompt))
        return Prepared(Request(name, prompt, sampling, **self._routing(body)), self._model(body))

    def _model(self, body: Body) -> str:
        return text(body, "model") if given(body, "model") else self.name

    def _routing(self, body: Body) -> dict[str, Any]:
        """Priority, deadline, tenant and adapter."""
        name = self._model(body)
        if name not in self.models:
            raise UnknownModelError(
                f"the model {name!r} does not exist; there is {', '.join(self.models)}", param="model"
            )
        routing: dict[str, Any] = {"adapter": None if name == self.name else name}
        if given(body, "priority"):
            routing["priority"] = integer(body, "priority")
        if given(body, "deadline_s"):
            routing["deadline_s"] = number(body, "deadline_s")
        if given(body, "cache_salt"):
            routing["cache_salt"] = text(body, "cache_salt")
        return routing

    def _prefixed(self, body: Body, ids: tuple[int, ...]) -> tuple[int, ...]:
        """The prompt behind the virtual tokens of its prompt-tuned prefix, if it names one."""
        if not given(body, "prompt_prefix"):
            return ids
        prefix = self.opened.engine.adapter_registry.prefix(text(body, "prompt_prefix"))
        return prefix.token_ids + ids

    def _chat_ids(self, messages: Sequence[Any], body: Body) -> tuple[int, ...]:
        template = self.opened.template
        if template is None:
            raise ChatTemplateError(
                "this model has no chat template: use /v1/completions, or add a chat_template.jinja to its folder",
                param="messages",
            )
        extra = body.get("chat_template_kwargs")
        control = ControlText(self.tokenizer)
        prompt = template.render(
            [control.marked(_message(item, number)) for number, item in enumerate(messages)],
            tools=None if body.get("tool_choice") == "none" else body.get("tools"),
            generate=flag(body, "add_generation_prompt") if given(body, "add_generation_prompt") else True,
            extra=extra if isinstance(extra, Mapping) else None,
        )
        # The template writes the beginning-of-sequence token itself.
        return tuple(control.encode(prompt))

    def _prompts(self, value: Any, param: str) -> list[tuple[int, ...]]:
        """A text, token ids, or a list of either."""
        several = isinstance(value, list | tuple) and value and type(value[0]) is not int
        items = value if several else [value]
        if len(items) > _MAX_PROMPTS:
            raise InvalidParameterError(
                f"{param} has {len(items)} entries, but {_MAX_PROMPTS} at most are taken at once", param=param
            )
        return [self._prompt(item, param) for item in items]

    def _prompt(self, item: Any, param: str) -> tuple[int, ...]:
        if isinstance(item, str):
            return tuple(self.tokenizer.encode(item))
        if isinstance(item, list | tuple) and item and all(type(token) is int for token in item):
            return tuple(item)
        raise InvalidParameterError(
            f"{param} must be a text, a list of token ids, or a list of these", param=param
        )


def _fitted(sampling: SamplingParameters, room: int) -> SamplingParameters:
    """No more tokens than there is room for; where there is none at all, the engine says so."""
    if sampling.max_tokens is None or not 0 < room < sampling.max_tokens:
        return sampling
    return replace(sampling, max_tokens=room, min_tokens=min(sampling.min_tokens, room))


def _pooling(body: Body) -> Pooling:
    """How the hidden states of a prompt become one vector; by default the last one is it."""
    name = text(body, "pooling") if given(body, "pooling") else "last"
    known: tuple[Pooling, ...] = ("last", "mean")
    for pooling in known:
        if pooling == name:
            return pooling
    raise InvalidParameterError(f"pooling is {name!r}, but must be last or mean", param="pooling")


def _given(body: Body) -> Body:
    """The fields that say something: a null asks for the default."""
    return {name: value for name, value in body.items() if value is not None}


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def _message(item: Any, number: int) -> dict[str, Any]:
    """A message whose content is one text; parts of type text are joined."""
    if not isinstance(item, Mapping) or not isinstance(item.get("role"), str):
        raise InvalidParameterError(f"messages[{number}] must be an object with a role", param="messages")
    content = item.get("content")
    if isinstance(content, list | tuple):
        content = "".join(_part(part, number) for part in content)
    if content is not None and not isinstance(content, str):
        raise InvalidParameterError(
            f"messages[{number}].content must be a text or a list of parts", param="messages"
        )
    made = {**item, "content": content or ""}
    if isinstance(item.get("tool_calls"), list | tuple):
        made["tool_calls"] = [_tool_call(call) for call in item["tool_calls"]]
    return made


def _tool_call(call: Any) -> Any:
    """A call with its arguments as an object, which is what templates write out: clients send them as JSON text."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except (ValueError, RecursionError):
        return call
    return {**call, "function": {**function, "arguments": arguments}}


def _part(part: Any, number: int) -> str:
    if isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise InvalidParameterError(f"messages[{number}]: this model reads text parts alone", param="messages")
