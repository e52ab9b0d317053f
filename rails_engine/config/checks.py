"""What must hold between the parts of a configuration. Each check is a function from config to problems."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from os import environ
from typing import TypeAlias

from rails_engine.config.flow_refs import FlowRef, parse_flow_ref
from rails_engine.config.known_rails import NEEDS_MODEL, PROMPT_OF_RAIL, REWRITES_OUTPUT
from rails_engine.config.outline import flow_fault
from rails_engine.config.problems import KeyPath, Problem
from rails_engine.config.schema import ConfigData
from rails_engine.config.tasks import Task
from rails_engine.config.template import template_fault
from rails_engine.spelling import nearest

COLANG_VERSIONS = ("1.0", "2.x")

_BUILT_IN_TASKS = (*Task, *PROMPT_OF_RAIL.values())


Check: TypeAlias = Callable[[ConfigData], Iterator[Problem]]


def faults(config: ConfigData) -> list[Problem]:
    """Everything that is wrong or odd between the parts of `config`; a problem's place is found by its key later."""
    return [problem for check in CHECKS for problem in check(config)]


def _colang_version(config: ConfigData) -> Iterator[Problem]:
    if config.colang_version not in COLANG_VERSIONS:
        meant = "2.x" if config.colang_version.startswith("2") else "1.0"
        message = f'"{config.colang_version}" is no Colang version; did you mean "{meant}"?'
        yield Problem("error", message, ("colang_version",))


def _keys_in_environment(config: ConfigData) -> Iterator[Problem]:
    for index, model in enumerate(config.models):
        variable = model.api_key_env_var
        if variable and not environ.get(variable):
            message = f"the environment variable {variable} is not set, so model `{model.type}` has no key"
            yield Problem("error", message, ("models", index, "api_key_env_var"))


def _one_model_a_type(config: ConfigData) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, model in enumerate(config.models):
        if model.type in seen:
            message = f"a second model of type `{model.type}`; the first one is used"
            yield Problem("warning", message, ("models", index, "type"))
        seen.add(model.type)


def _flow_references(config: ConfigData) -> Iterator[Problem]:
    for direction, rails in config.rails.directions().items():
        for index, text in enumerate(rails.flows):
            key: KeyPath = ("rails", direction, "flows", index)
            try:
                ref = parse_flow_ref(text)
            except ValueError as error:
                yield Problem("error", str(error), key)
                continue
            if ref.positional and config.colang_version == "1.0":
                meant = "name $parameter=value"
                message = (
                    f"cannot read {ref.positional[0]!r} in the flow reference {text!r}; write it as {meant}"
                )
                yield Problem("error", message, key)


def _listed(config: ConfigData, among: Iterable[str] | None = None) -> Iterator[tuple[KeyPath, FlowRef]]:
    """The rails that are listed for these directions, by default for all, each with its key."""
    directions = config.rails.directions()
    for direction in directions if among is None else among:
        for index, text in enumerate(directions[direction].flows):
            try:
                yield ("rails", direction, "flows", index), parse_flow_ref(text)
            except ValueError:  # reported by _flow_references
                continue


def _of_messages(config: ConfigData) -> Iterator[tuple[KeyPath, FlowRef]]:
    """The rails over what users and bots say."""
    return _listed(config, ("input", "output"))


def _models_of_rails(config: ConfigData) -> Iterator[Problem]:
    types = {model.type for model in config.models}
    for key, ref in _of_messages(config):
        wanted = ref.parameters.get("model")
        if wanted is None and ref.name in NEEDS_MODEL:
            yield Problem("error", f"`{ref.name}` needs a model: write `{ref.name} $model=TYPE`", key)
        elif wanted is not None and wanted not in types:
            near = nearest(wanted, types)
            hint = f"did you mean `{near}`?" if near else f"types given: {', '.join(sorted(types)) or 'none'}"
            yield Problem("error", f"no model of type `{wanted}` in `models`; {hint}", key)


def _prompts_of_rails(config: ConfigData) -> Iterator[Problem]:
    tasks = {prompt.task for prompt in config.prompts or ()}
    for key, ref in _of_messages(config):
        base = PROMPT_OF_RAIL.get(ref.name)
        if base and ref.task(base) not in tasks and not _unnamed_model(ref):
            message = (
                f"`{ref.text}` needs a prompt with `task: {ref.task(base)}` under `prompts`, there is none"
            )
            yield Problem("error", message, key)


def _unnamed_model(ref: FlowRef) -> bool:
    return ref.name in NEEDS_MODEL and "model" not in ref.parameters


def _templates(config: ConfigData) -> Iterator[Problem]:
    """Filters and variables may be registered later; what is no template stays none."""
    for index, prompt in enumerate(config.prompts or ()):
        texts: list[tuple[KeyPath, str]] = [((), prompt.content)] if prompt.content else []
        for number, message in enumerate(prompt.messages or ()):
            texts.append((("messages", number), message if isinstance(message, str) else message.content))
        for inner, text in texts:
            fault = template_fault(text)
            if fault:
                key: KeyPath = ("prompts", index, *(inner or ("content",)))
                yield Problem(
                    "error", f"the prompt of task `{prompt.task}` is no Jinja template: {fault}", key
                )


def _streaming_rewrites(config: ConfigData) -> Iterator[Problem]:
    streaming = config.rails.output.streaming
    if not (streaming.enabled and streaming.stream_first):
        return
    key: KeyPath = ("rails", "output", "streaming", "stream_first")
    rewriting = [ref.name for _, ref in _of_messages(config) if ref.name in REWRITES_OUTPUT]
    if rewriting:
        message = f"text that has gone out cannot be rewritten by `{rewriting[0]}`; set `stream_first: false`"
        yield Problem("error", message, key)
    elif config.rails.output.flows:
        yield Problem("warning", "text goes out before its output rails have judged it", key)


def _passthrough_or_single_call(config: ConfigData) -> Iterator[Problem]:
    if config.passthrough and config.rails.dialog.single_call.enabled:
        message = (
            "`passthrough` sends the user's prompt unchanged, `single_call` needs its own; use one of them"
        )
        yield Problem("error", message, ("passthrough",))


def _policies(config: ConfigData) -> Iterator[Problem]:
    """Under Colang 2.x any flow may be a rail, so only 1.0 knows which names mean nothing."""
    listed = {ref.name for _, ref in _listed(config)}
    for name in config.rails.policies:
        if config.colang_version == "1.0" and name not in listed:
            near = nearest(name, listed)
            hint = f"; did you mean `{near}`?" if near else ""
            yield Problem(
                "warning", f"no rail `{name}` is listed under `rails`{hint}", ("rails", "policies", name)
            )


def _jailbreak(config: ConfigData) -> Iterator[Problem]:
    options = config.rails.config.jailbreak_detection
    own: KeyPath = ("rails", "config", "jailbreak_detection")
    listed = [
        (key, ref.name) for key, ref in _of_messages(config) if ref.name.startswith("jailbreak detection")
    ]
    for key, name in listed:
        if options and not (options.server_endpoint or (options.nim_base_url and name.endswith("model"))):
            wanted = "`nim_base_url` or `server_endpoint`" if name.endswith("model") else "`server_endpoint`"
            message = f"`{name}` has no {wanted} under rails.config.jailbreak_detection; until it can judge, it blocks"
            yield Problem("warning", message, key)
    if "jailbreak_detection" in config.rails.config.model_fields_set and not listed:
        yield Problem("warning", "no jailbreak detection flow is listed under rails.input.flows", own)


def _actions_server(config: ConfigData) -> Iterator[Problem]:
    url = config.actions_server_url
    if url and not url.startswith(("http://", "https://")):
        yield Problem(
            "error", f"{url!r} is no address; write it as `http://host:port`", ("actions_server_url",)
        )


def _yaml_flows(config: ConfigData) -> Iterator[Problem]:
    for index, flow in enumerate(config.flows):
        fault = flow_fault(flow)
        if fault:
            yield Problem("error", fault, ("flows", index))


def _prompts_of_no_task(config: ConfigData) -> Iterator[Problem]:
    """A task of one's own is fine; one that is nearly a built-in task is likely meant as that."""
    for index, prompt in enumerate(config.prompts or ()):
        name = prompt.task.split(" $")[0]
        meant = nearest(name, _BUILT_IN_TASKS)
        if meant and meant != name:
            message = f"no built-in task is called `{name}`; did you mean `{meant}`?"
            yield Problem("warning", message, ("prompts", index, "task"))


def _nothing_is_reported(config: ConfigData) -> Iterator[Problem]:
    for name, section in (("tracing", config.tracing), ("metrics", config.metrics)):
        if section.enabled:
            message = f"`{name}` is not built yet, so nothing is written; `options.log` tells about a turn"
            yield Problem("warning", message, (name, "enabled"))


def _retrieval_in_order(config: ConfigData) -> Iterator[Problem]:
    if config.rails.retrieval.parallel and config.colang_version == "1.0":
        message = "retrieval rails of Colang 1.0 run one after the other, so this has no effect"
        yield Problem("warning", message, ("rails", "retrieval", "parallel"))


CHECKS: tuple[Check, ...] = (
    _colang_version,
    _keys_in_environment,
    _one_model_a_type,
    _flow_references,
    _models_of_rails,
    _prompts_of_rails,
    _templates,
    _streaming_rewrites,
    _passthrough_or_single_call,
    _policies,
    _jailbreak,
    _actions_server,
    _yaml_flows,
    _prompts_of_no_task,
    _nothing_is_reported,
    _retrieval_in_order,
)
