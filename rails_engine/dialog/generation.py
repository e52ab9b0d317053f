"""Actions that ask a model what to say or do next.

Each builds the variables of one prompt task from the conversation, asks, and reads the answer with `completions`.
The tasks' names are public: configurations override their prompts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import colang
from rails_engine.dialog import completions, examples, readers
from rails_engine.dialog.flow_actions import short_id
from rails_engine.dialog.speaking import SAYING, VERBS, Speaking, open_passage, speaking
from rails_engine.external_events import INTERNAL
from rails_engine.knowledge import Example
from rails_engine.scene import Completion, Outcome, Scene
from rails_engine.umim import EventDict

INVENTIVE = 0.1
"""Temperature where the model chooses among several good answers."""

log = logging.getLogger(__name__)

KEPT: Final = frozenset(
    {"bot_message", "tool_calls", "check_facts", "check_hallucination", "hallucination_warning"}
)
"""Global variables that output rails go by: flows that a model wrote do not set them."""

_EXCUSE: Final = 'bot say "Sorry! There was an issue with what the model wrote."'

APOLOGY = "Sorry! There was an issue in the LLM result form {action}!"
"""What users see where a model answered nothing."""


async def user_intent(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GenerateUserIntentAction(user_action, max_example_flows)`: the intent's flow name."""
    variables = await _intent_variables(scene, arguments)
    text = await _ask(scene, "generate_user_intent_from_user_action", variables)
    return Outcome(completions.user_intent(text))


async def user_intent_and_bot_action(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GenerateUserIntentAndBotAction(user_action, max_example_flows)`: both from one completion."""
    variables = await _intent_variables(scene, arguments)
    text = await _ask(scene, "generate_user_intent_and_bot_action_from_user_action", variables)
    lines = completions.lines_of(text)
    action = completions.bot_action(lines)
    return Outcome(
        {
            "user_intent": completions.user_intent(text),
            "bot_intent": completions.bot_intent(lines),
            "bot_action": action if await _fit(scene, f"flow answer\n  {action}") else _EXCUSE,
        }
    )


async def _intent_variables(scene: Scene, arguments: Mapping[str, Any]) -> dict[str, Any]:
    said = str(arguments["user_action"])
    shown = await examples.intent_examples(scene, said, int(arguments.get("max_example_flows") or 5))
    exemplified = list(dict.fromkeys(example.intent for example in reversed(shown)))
    awaited = [name for name in examples.awaited_intents(scene) if name not in exemplified]
    return {
        "history": _before(scene, said),
        "user_action": said,
        "examples": "\n\n".join([*(f"user intent: {name}" for name in awaited), *map(_shown, shown)]),
        "potential_user_intents": ", ".join([*exemplified, *awaited]),
    }


def _shown(example: Example) -> str:
    return f'user action: user said "{example.text}"\nuser intent: {example.intent}'


def _before(scene: Scene, said: str) -> list[EventDict]:
    """The interaction history without what the user has just done: prompts name that by itself."""
    history = scene.log_events()
    is_last = history and history[-1]["type"] == "UserActionLog" and history[-1]["flow_id"] == said
    return history[:-1] if is_last else history


async def value(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GenerateValueAction(instructions, var_name)`: a Python literal."""
    instructions = str(arguments["instructions"])
    name = arguments.get("var_name") or "result"
    variables = {
        "instructions": instructions,
        "var_name": name,
        "examples": examples.similar_flows(scene, instructions),
    }
    out = speaking(scene, readers.literal(str(name)))
    asking = Asking("generate_value_from_instruction", variables, INVENTIVE)
    text, judged = await _said(scene, asking, out)
    return Outcome(completions.value(text, str(name)), judged)


async def flow_from_docstring(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GenerateFlowAction(flow_id)`: the body that a flow's docstring asks for, as a flow of its own."""
    flow = colang.flows(scene.program, scene.machine)[str(arguments["flow_id"])]
    seen = {**scene.context, **colang.locals_of(scene.machine, scene.flow_uid)}
    variables = {"history": scene.log_events(), **seen, **_tools(scene)}
    wish = scene.services.fill(flow.docstring or "", variables)
    shown = examples.similar_flows(scene, wish)
    text = await _ask(
        scene, "generate_flow_continuation_from_flow_nld", {"flow_nld": wish, "examples": shown}
    )
    body = completions.unfenced(text)
    return Outcome(await _own_flow(scene, body, "_dynamic_", "GenerateFlowContinuationAction"))


def _tools(scene: Scene) -> dict[str, Any]:
    tools = [flow for flow in examples.shown_flows(scene) if flow.meta.get("tool")]
    return {
        "tools": "\n\n".join(map(_described, tools)),
        "tool_names": ", ".join(flow.name for flow in tools),
    }


def _described(flow: colang.FlowInfo) -> str:
    """The name line of a flow, with what its docstring says."""
    header = next((line for line in flow.text.splitlines() if line.startswith("flow ")), f"flow {flow.name}")
    return header if flow.docstring is None else f'{header}\n  """{flow.docstring}"""'


async def flow_from_instructions(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GenerateFlowFromInstructionsAction(instructions)`: a flow that does as told."""
    instructions = str(arguments["instructions"])
    variables = {
        "instructions": instructions,
        "flow_name": f"dynamic_{short_id()}",
        "examples": examples.similar_flows(scene, instructions),
    }
    text = await _ask(scene, "generate_flow_from_instructions", variables)
    body = completions.body_of(text)
    return Outcome(await _own_flow(scene, body, "dynamic_", "GenerateFlowFromInstructionsAction"))


async def _own_flow(scene: Scene, text: str, prefix: str, action: str) -> dict[str, Any]:
    lines = completions.flow_body(text)
    if not lines:
        return _apology(action)
    name = f"{prefix}{short_id()}"
    body = "\n".join([f"flow {name}", *lines])
    is_fit = await _fit(scene, body)
    return {"name": name, "parameters": [], "body": body if is_fit else f"flow {name}\n  {_EXCUSE}"}


async def _fit(scene: Scene, source: str) -> bool:
    """Whether flows that a model wrote may run; what they do not say but show or send is judged by the output rails here."""
    if not _harmless(source):
        return False
    texts = colang.texts_beside(source, SAYING)
    return not texts or (await scene.judge.output("\n".join(texts))).passed


def _harmless(source: str) -> bool:
    """Whether flows that a model wrote keep off what is not theirs; see `colang.trespass`."""
    fault = colang.trespass(source, INTERNAL, KEPT)
    if fault is not None:
        log.warning("a flow that a model wrote %s, which it may not; it is not run:\n%s", fault, source)
    return fault is None


def _apology(action: str) -> dict[str, Any]:
    name = "bot inform LLM issue"
    return {"name": name, "body": f'flow {name}\n  bot say "{APOLOGY.format(action=action)}"'}


async def flow_from_name(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GenerateFlowFromNameAction(name)`: the source of the flow that this name promises."""
    name = str(arguments["name"])
    variables = {"flow_name": name, "examples": examples.similar_flows(scene, name)}
    text = completions.unfenced(await _ask(scene, "generate_flow_from_name", variables, stop=("\nflow",)))
    source = "\n".join([f"flow {name}", *completions.indented(text)])
    if text.strip().startswith("flow"):
        source = text.strip()
    return Outcome(source if await _fit(scene, source) else f"flow {name}\n  {_EXCUSE}")


async def flow_continuation(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`GenerateFlowContinuationAction(temperature)`: a flow for how the bot goes on."""
    temperature = arguments.get("temperature")
    shown = {"examples": examples.similar_flows(scene, scene.last_words())}
    asking = Asking("generate_flow_continuation", shown, None if temperature is None else float(temperature))
    out = Speaking(open_passage(scene) if _goes_on(scene) else None, readers.statement("|".join(VERBS)))
    text, judged = await _said(scene, asking, out)
    if not text.strip():
        return Outcome(_apology("GenerateFlowContinuationAction"))
    answer = completions.continuation(text)
    name = f"_dynamic_{short_id()} {answer.intent}"
    action = answer.action if await _fit(scene, f"flow {name}\n  {answer.action}") else _EXCUSE
    body = f'@meta(bot_intent="{answer.intent}")\nflow {name}\n  {action}'
    return Outcome({"name": name, "parameters": [], "body": body}, judged)


def _goes_on(scene: Scene) -> bool:
    """Whether the library runs the continuation as soon as it is there, so that its statement is certain to be said."""
    callers = [name for _, name in colang.callers_of(scene.machine, scene.flow_uid)][: len(_GOING_ON)]
    return callers == _GOING_ON and all(scene.program.flows[name].is_of_library for name in callers)


_GOING_ON: Final = ["llm generate interaction continuation flow", "llm continue interaction"]


@dataclass(frozen=True, slots=True)
class Asking:
    """A prompt task with its variables."""

    task: str
    variables: Mapping[str, Any]
    temperature: float | None = None
    stop: tuple[str, ...] = ()

    def completion(self, scene: Scene) -> Completion:
        """The model call that this asks for; without a temperature of its own, with the configuration's lowest."""
        everything = {"context": dict(scene.context), "history": scene.log_events(), **self.variables}
        return Completion(
            self.task, everything, self.temperature, steady=self.temperature is None, stop=self.stop
        )


async def _said(scene: Scene, asking: Asking, out: Speaking) -> tuple[str, dict[str, Any]]:
    """What the model answers, told while it comes, and the changes of global variables that follow from that.

    Raises:
        StreamStoppedError: the output rails refused it.
    """
    try:
        text = await scene.services.complete(asking.completion(scene), out.piece)
        return text, await out.end()
    finally:
        out.leave()


async def _ask(scene: Scene, task: str, variables: Mapping[str, Any], *, stop: tuple[str, ...] = ()) -> str:
    return await scene.services.complete(Asking(task, variables, stop=stop).completion(scene))
