"""What an effect may see and use of the turn that it runs for."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import colang
from rails_engine.errors import ConfigurationError, LLMCallException, PromptError
from rails_engine.judge import Judge
from rails_engine.knowledge import Example
from rails_engine.llm import Chunk, LLMCall, Message
from rails_engine.llm import Completion as Answer
from rails_engine.speculative_calls import SpeculationEndedError
from rails_engine.state import State
from rails_engine.teller import Teller
from rails_engine.umim import EventDict
from rails_engine.values import value_class
from rails_engine.windows import StreamStoppedError

log = logging.getLogger(__name__)

GUARDING: Final = {
    "input rails": "input",
    "output rails": "output",
    "retrieval rails": "retrieval",
    "tool input rails": "tool_input",
    "tool output rails": "tool_output",
    "listed input": "input",
    "listed output": "output",
    "listed retrieval": "retrieval",
    "listed tool input": "tool_input",
    "listed tool output": "tool_output",
}
"""Colang 2.x: the flows that call the rails of a direction."""

STREAMED: Final = "_streamed_answer"
"""The global variable with an answer that its rails have judged already: `{text, passed}`, as written and as let out."""

ADMITTED: Final = "_admitted_user_message"
"""The global variable in which the library keeps what the user said last, once the input rails have let it pass."""


@value_class
class RunningRail:
    """The rail that an action runs for. `flows` are those that led to it, the innermost first.

    `direction` is empty where the flows do not tell. Under Colang 2.x `uid` is the instance of the rail's own flow.
    """

    direction: str
    flows: tuple[str, ...]
    uid: str = ""


@value_class
class Outcome:
    """What an effect gives back to its turn.

    `context_updates` are written to the global variables; `events` are sent as if a flow had sent them. Where the
    effect ran for a rail and failed, `failed_rail` is that rail, and `passes` says that its policy ends it there and
    lets the text pass. Under Colang 2.x `starts` are `StartFlow` events for the machine alone, `aborts` fails the
    flow that the effect ran for, and `asks` are the arguments with which the action is left to the caller.
    """

    value: Any = None
    context_updates: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Mapping[str, Any], ...] = ()
    failure: BaseException | None = None
    failed_rail: RunningRail | None = None
    passes: bool = False
    starts: tuple[EventDict, ...] = ()
    aborts: bool = False
    asks: Mapping[str, Any] | None = None


@value_class
class Completion:
    """One model call for a prompt task.

    `steady` asks with the configuration's lowest temperature, else `temperature` counts, None leaving it to the
    model. `tunable`: the caller's `llm_params` go into it.
    """

    task: str
    variables: Mapping[str, Any]
    temperature: float | None = None
    steady: bool = False
    stop: tuple[str, ...] = ()
    tunable: bool = True


Piece: TypeAlias = Callable[[Chunk], Awaitable[None]]
"""Takes a chunk of a model's answer."""


class Services(Protocol):
    """What effects need of the outside world."""

    async def complete(self, completion: Completion, piece: Piece | None = None) -> str:
        """The text that the task's model answers, after the prompt's output parser.

        `piece` is given each chunk as it comes, unless a parser has to see the whole first.

        Raises:
            LLMCallException: the model failed.
        """
        ...

    async def answer(self, messages: tuple[Message, ...], piece: Piece | None = None) -> Answer:
        """The main model's answer to these messages, with the parameters and tools that the caller gave.

        `piece` is given each chunk as it comes.

        Raises:
            LLMCallException: the model failed.
        """
        ...

    async def relevant_chunks(self, query: str) -> list[str] | None:
        """The pieces of the knowledge base nearest to `query`, best first; None where there is no knowledge base."""
        ...

    async def nearest_examples(self, examples: Sequence[Example], said: str, limit: int) -> list[Example]:
        """Those of the examples that the search provider finds nearest to what was said, best first.

        Raises:
            RetrievalError: it is unknown or failed.
        """
        ...

    @property
    def llm_params(self) -> Mapping[str, Any]:
        """The parameters that the caller gave for the main model's calls."""
        ...

    def scoped(self, sink: Callable[[LLMCall], None]) -> Services:
        """The same services for one action; `sink` is told of each model call that it makes."""
        ...

    def fill(self, template: str, variables: Mapping[str, Any]) -> str:
        """A Jinja template with its variables filled in."""
        ...


@value_class
class Scene:
    """The turn as an effect sees it.

    `machine` belongs to the turn: only effects that run at once (no `await` before the change) may change it. `state`
    is the conversation as it was when the turn began. `judge` asks the rails about it as it is when it is asked.
    `teller` is set where somebody reads along.
    """

    program: colang.Program
    machine: colang.State
    history: list[colang.History]
    events: list[Mapping[str, Any]]
    services: Services
    state: State
    judge: Judge
    flow_uid: str = ""
    action_uid: str = ""
    teller: Teller | None = None

    @property
    def context(self) -> Mapping[str, Any]:
        """The global variables."""
        return colang.globals_of(self.machine)

    @property
    def rail(self) -> RunningRail | None:
        """The rail that this effect runs for, as the flows tell that led to it."""
        callers = colang.callers_of(self.machine, self.flow_uid)
        names = [name for _, name in callers]
        for place, name in enumerate(names):
            if name in GUARDING:
                own = max(0, place - 1)
                return RunningRail(GUARDING[name], tuple(names[: place + 1]), callers[own][0])
        return RunningRail("", tuple(names)) if names else None

    def last_words(self) -> str:
        """What the user said last; with input rails, what they last let pass and as they left it. Empty before that."""
        if "run input rails" in self.program.flows and "input rails" in self.program.flows:
            return str(self.context.get(ADMITTED) or "")
        for event in reversed(self.events):
            if event["type"] == "UtteranceUserActionFinished":
                return str(event.get("final_transcript") or "")
        return ""

    def log_events(self) -> list[EventDict]:
        """The interaction history as events, as prompt templates receive it."""
        return [log_event(line) for line in self.history]


def log_event(line: colang.History) -> EventDict:
    """A line of the interaction history as the event that stands for it, such as `UserIntentLog`."""
    kind = "".join(part.capitalize() for part in line.kind.split("_"))
    return {
        "type": f"{kind}Log",
        "flow_id": line.flow_id,
        "parameter": line.parameter,
        "intent_flow_id": line.intent_flow_id,
    }


Effect: TypeAlias = Callable[[Scene, Mapping[str, Any]], Awaitable[Outcome]]


Run: TypeAlias = Callable[[Any, Mapping[str, Any]], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one action is carried out; an asynchronous one does not hold up its turn.

    What `run` raises ends the turn; whatever else goes wrong is an outcome, see `failed_action`. `holds`: it is the
    caller's to carry out, and held back until rails have seen it.
    """

    name: str
    run: Run
    execute_async: bool = False
    is_system: bool = False
    holds: bool = False


def guarded(name: str, effect: Run) -> Run:
    """An effect as the `run` of a plan: what it raises becomes a failed outcome, where it does not end the turn."""

    async def run(scene: Any, arguments: Mapping[str, Any]) -> Outcome:
        try:
            return await effect(scene, arguments)
        except Exception as error:  # noqa: BLE001 -- the rim: an effect may raise anything
            return failed_action(name, error)

    return run


def failed_action(name: str, error: Exception) -> Outcome:
    """The failed outcome of an action that raised: the flow gets None and goes on.

    Raises:
        LLMCallException, ConfigurationError: a model could not be asked; these end the turn.
        StreamStoppedError: a rail stopped what was being streamed; so does this.
        SpeculationEndedError: a copy of a turn may not go on.
    """
    if isinstance(error, PromptError):
        log.error("action %s failed: %s", name, error)
    elif isinstance(error, (LLMCallException, ConfigurationError, StreamStoppedError, SpeculationEndedError)):
        raise error
    else:
        log.warning("action %s failed: %s: %s", name, type(error).__name__, error, exc_info=error)
    return Outcome(failure=error)
