"""Rails around the model of a LangChain agent: middleware for `langchain.agents.create_agent`.

Before the model is asked, what users have said since its last answer goes through the input rails; what it answers goes
through the output rails before anybody acts on it. A refusal ends the run with the blocked message. What stands further
up stays in the agent's state, but the model is not shown what the rails refuse of it: neither the question of a run that
was blocked, nor a history that a client made up. What a verdict has let pass is remembered by content.

What an agent streams of its model's answer goes past any middleware: stream its `updates` or `values`, not `messages`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse, hook_config
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from rails_engine.background import background_loop
from rails_engine.config import RailsConfig
from rails_engine.content_parts import flattened
from rails_engine.errors import ConfigurationError
from rails_engine.langchain.messages import PlainMessage, plain_message
from rails_engine.lru import LruTable
from rails_engine.message_digest import digest
from rails_engine.options import RailsResult, RailStatus, RailType
from rails_engine.prompts import HIDDEN
from rails_engine.rails import LLMRails

BLOCKED_INPUT: Final = "I cannot process this request due to content policy."
BLOCKED_OUTPUT: Final = "I cannot provide this response due to content policy."

KEPT: Final = 8192
"""Messages whose verdict is remembered."""

log = logging.getLogger(__name__)

Update = dict[str, Any]
AsyncHandler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


class GuardrailViolation(Exception):  # noqa: N818 -- the public name that users catch
    """Rails refused a message. `result` is their verdict, `rail_type` `input` or `output`."""

    def __init__(self, message: str, result: RailsResult | None = None, rail_type: str | None = None) -> None:
        super().__init__(message)
        self.result = result
        self.rail_type = rail_type


class GuardrailsMiddleware(AgentMiddleware[Any, Any, Any]):
    """Input and output rails of one configuration; see the module. `rails` is the `LLMRails` inside.

    The configuration is a path, or YAML. With `raise_on_violation` a refusal is raised as `GuardrailViolation`.

    Raises:
        ConfigurationError: no configuration is given, or two are, or it has no rails of the kinds that are enabled.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- the public signature that users call
        self,
        config_path: str | None = None,
        config_yaml: str | None = None,
        raise_on_violation: bool = False,
        blocked_input_message: str = BLOCKED_INPUT,
        blocked_output_message: str = BLOCKED_OUTPUT,
        enable_input_rails: bool = True,
        enable_output_rails: bool = True,
    ) -> None:
        super().__init__()
        self.rails = LLMRails(_config(config_path, config_yaml))
        self.raise_on_violation = raise_on_violation
        self.blocked_input_message = blocked_input_message
        self.blocked_output_message = blocked_output_message
        self.enable_input_rails = enable_input_rails
        self.enable_output_rails = enable_output_rails
        wanted = {RailType.INPUT: enable_input_rails, RailType.OUTPUT: enable_output_rails}
        self._verdicts = _Verdicts(self.rails, [kind for kind, is_on in wanted.items() if is_on])

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: Any, runtime: Any) -> Update | None:
        """Judge what users have said since the last answer.

        Raises:
            GuardrailViolation: a rail refuses a message, and refusals are to be raised.
        """
        del runtime
        messages = list(state["messages"])
        changed = False
        for place in _new_questions(messages):
            result = await self._verdicts.on(messages, place)
            if result is not None and result.status is RailStatus.BLOCKED:
                self._raise_if_wanted(result, RailType.INPUT)
                return {"messages": [*messages, AIMessage(self.blocked_input_message)], "jump_to": "end"}
            if result is not None and result.status is RailStatus.MODIFIED:
                messages[place] = _with(messages[place], result.content)
                changed = True
        return {"messages": messages} if changed else None

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: Any, runtime: Any) -> Update | None:
        """As `abefore_model`, for agents that are run without an event loop."""
        return background_loop().run(self.abefore_model(state, runtime), "ainvoke(…)")

    async def awrap_model_call(self, request: ModelRequest[Any], handler: AsyncHandler) -> ModelResponse[Any]:
        """Ask the model; of the messages further up it is shown what the rails let pass."""
        return await handler(request.override(messages=await self._verdicts.shown(request.messages)))

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """As `awrap_model_call`."""
        shown = background_loop().run(self._verdicts.shown(request.messages), "ainvoke(…)")
        return handler(request.override(messages=shown))

    async def aafter_model(self, state: Any, runtime: Any) -> Update | None:
        """Judge what the model has answered; the calls of a refused answer go with it.

        Raises:
            GuardrailViolation: a rail refuses it, and refusals are to be raised.
        """
        del runtime
        messages = list(state["messages"])
        place = _last(AIMessage, messages)
        result = await self._verdicts.on(messages, place) if place is not None else None
        if place is None or result is None or result.status is RailStatus.PASSED:
            return None
        if result.status is RailStatus.BLOCKED:
            self._raise_if_wanted(result, RailType.OUTPUT)
            messages[place] = AIMessage(self.blocked_output_message, id=messages[place].id)
        else:
            messages[place] = _with(messages[place], result.content)
        return {"messages": messages}

    def after_model(self, state: Any, runtime: Any) -> Update | None:
        """As `aafter_model`."""
        return background_loop().run(self.aafter_model(state, runtime), "ainvoke(…)")

    def _raise_if_wanted(self, result: RailsResult, kind: RailType) -> None:
        if self.raise_on_violation:
            blocked = f"{kind.value.capitalize()} blocked by {result.rail or 'rails'}"
            raise GuardrailViolation(blocked, result, kind.value)


class InputRailsMiddleware(GuardrailsMiddleware):
    """The input rails of a configuration alone."""

    def __init__(
        self,
        config_path: str | None = None,
        config_yaml: str | None = None,
        raise_on_violation: bool = False,
        blocked_input_message: str = BLOCKED_INPUT,
    ) -> None:
        super().__init__(
            config_path,
            config_yaml,
            raise_on_violation,
            blocked_input_message=blocked_input_message,
            enable_output_rails=False,
        )


class OutputRailsMiddleware(GuardrailsMiddleware):
    """The output rails of a configuration alone."""

    def __init__(
        self,
        config_path: str | None = None,
        config_yaml: str | None = None,
        raise_on_violation: bool = False,
        blocked_output_message: str = BLOCKED_OUTPUT,
    ) -> None:
        super().__init__(
            config_path,
            config_yaml,
            raise_on_violation,
            blocked_output_message=blocked_output_message,
            enable_input_rails=False,
        )


class _Verdicts:
    """What the rails of some kinds make of an agent's messages.

    Raises:
        ConfigurationError: there are no rails of any of the kinds.
    """

    def __init__(self, rails: LLMRails, kinds: Sequence[RailType]) -> None:
        self._rails = rails
        self._kinds = frozenset(kind for kind in kinds if rails.guards(kind))
        self._passed: LruTable[str, str | None] = LruTable(KEPT)
        tools = [
            kind for kind in ("tool_input", "tool_output") if rails.config.rails.directions()[kind].flows
        ]
        if tools:
            log.warning(
                "the %s rails of this configuration do not run around an agent's model", " and ".join(tools)
            )
        if kinds and not self._kinds:
            named = " or ".join(kind.value for kind in kinds)
            raise ConfigurationError(f"this middleware would check nothing: no {named} rails are configured")

    async def on(self, messages: Sequence[BaseMessage], place: int) -> RailsResult | None:
        """The verdict on what is said at a place; None where nobody has to be asked."""
        question = self._question(messages, place)
        return await self._asked(question) if question else None

    async def shown(self, messages: Sequence[Any]) -> list[Any]:
        """The messages as the model may be shown them."""
        return [await self._shown(messages, place) for place in range(len(messages))]

    async def _shown(self, messages: Sequence[BaseMessage], place: int) -> BaseMessage:
        question = self._question(messages, place)
        if not question:
            return messages[place]
        content = self._passed.get(digest(question), None)
        if content is None:
            result = await self._asked(question)
            content = HIDDEN if result.status is RailStatus.BLOCKED else result.content
        is_same = content == str(question[-1]["content"])
        return messages[place] if is_same else _with(messages[place], content)

    def _question(self, messages: Sequence[BaseMessage], place: int) -> list[PlainMessage]:
        """A user's message, or a model's with the user's before it; empty where no rail looks at it."""
        kind = _kind(messages[place])
        said = _said(messages[place])
        if kind not in self._kinds or not said["content"]:
            return []
        before = _last(HumanMessage, messages[:place]) if kind is RailType.OUTPUT else None
        return [said] if before is None else [_said(messages[before]), said]

    async def _asked(self, question: list[PlainMessage]) -> RailsResult:
        kind = RailType.OUTPUT if question[-1]["role"] == "assistant" else RailType.INPUT
        result = await self._rails.check_async(question, [kind])
        if result.status is not RailStatus.BLOCKED:
            self._passed.keep(digest(question), result.content)
        return result


def _config(path: str | None, yaml: str | None) -> RailsConfig:
    if path is not None and yaml is None:
        return RailsConfig.from_path(path)
    if yaml is not None and path is None:
        return RailsConfig.from_content(yaml_content=yaml)
    raise ConfigurationError("middleware needs one configuration: 'config_path' or 'config_yaml'")


def _kind(message: BaseMessage) -> RailType | None:
    if isinstance(message, HumanMessage):
        return RailType.INPUT
    return RailType.OUTPUT if isinstance(message, AIMessage) else None


def _said(message: BaseMessage) -> PlainMessage:
    """A message as rails are asked about it: its role, and what it says."""
    plain = plain_message(message)
    return {"role": plain["role"], "content": flattened(plain["content"])}


def _new_questions(messages: Sequence[BaseMessage]) -> list[int]:
    """The places of what users have said since the model's last answer."""
    answered = _last(AIMessage, messages)
    first = 0 if answered is None else answered + 1
    return [place for place in range(first, len(messages)) if isinstance(messages[place], HumanMessage)]


def _last(kind: type[BaseMessage], messages: Sequence[BaseMessage]) -> int | None:
    return next((p for p in range(len(messages) - 1, -1, -1) if isinstance(messages[p], kind)), None)


def _with(message: BaseMessage, content: str) -> BaseMessage:
    return message.model_copy(update={"content": content})
