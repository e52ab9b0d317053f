"""Jailbreak attempts: two perplexity measures of the text, or the verdict of NVIDIA's classifier.

Machine-made attacks are long and unlike any text that people write. So the heuristics compare the length of a text with
its perplexity, and take the perplexity of its first and of its last words by itself, as NVIDIA's documentation of the
rail describes. The measures are taken by the server at `server_endpoint`, or here with the function that the caller
registered: `rails.register_action_param("perplexity", function)`, from a text to its perplexity under a causal model.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.config.schema import JailbreakDetectionConfig
from rails_engine.errors import ConfigurationError
from rails_engine.http import HTTPClient
from rails_engine.library.actions.endpoints import post_json
from rails_engine.library.actions.reading import readable, told
from rails_engine.prompts import LLMTaskManager

EDGE_WORDS = 20
"""How many words of the beginning, and of the end, are measured by themselves; shorter texts have no such parts."""

Perplexity: TypeAlias = Callable[[str], float | Awaitable[float]]


@action(is_system_action=True)
async def jailbreak_detection_heuristics(
    llm_task_manager: LLMTaskManager,
    context: Mapping[str, Any] | None = None,
    config: RailsConfig | None = None,
    http_client: HTTPClient | None = None,
    perplexity: Perplexity | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the heuristics take the user's message for a jailbreak attempt.

    Raises:
        ConfigurationError: there is neither an endpoint nor a function to measure with.
        EndpointError: the endpoint does not answer with a verdict.
    """
    config = config or llm_task_manager.config
    options = _options(config)
    text = readable(told(context, given).get("user_message"), config)
    if perplexity is not None:
        return await _measured(text, options, perplexity)
    if not options.server_endpoint:
        raise ConfigurationError(
            "jailbreak detection heuristics needs rails.config.jailbreak_detection.server_endpoint, or a function "
            'to measure with: rails.register_action_param("perplexity", function)'
        )
    body = {
        "prompt": text,
        "lp_threshold": options.length_per_perplexity_threshold,
        "ps_ppl_threshold": options.prefix_suffix_perplexity_threshold,
    }
    return _outcome(await post_json(http_client, options.server_endpoint, body, {}))


@action(is_system_action=True)
async def jailbreak_detection_model(
    llm_task_manager: LLMTaskManager,
    context: Mapping[str, Any] | None = None,
    config: RailsConfig | None = None,
    http_client: HTTPClient | None = None,
    **given: Any,
) -> RailOutcome:
    """Whether the classifier at `nim_base_url`, or at `server_endpoint`, takes the message for a jailbreak attempt.

    Raises:
        ConfigurationError: neither endpoint is configured.
        EndpointError: the endpoint does not answer with a verdict.
    """
    config = config or llm_task_manager.config
    options = _options(config)
    text = readable(told(context, given).get("user_message"), config)
    if options.nim_base_url:
        key = options.get_api_key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{options.nim_base_url.rstrip('/')}/{(options.nim_server_endpoint or '').lstrip('/')}"
        return _outcome(await post_json(http_client, url, {"input": text}, headers))
    if options.server_endpoint:
        return _outcome(await post_json(http_client, options.server_endpoint, {"prompt": text}, {}))
    raise ConfigurationError(
        "jailbreak detection model needs `nim_base_url` or `server_endpoint` under rails.config.jailbreak_detection"
    )


async def _measured(text: str, options: JailbreakDetectionConfig, perplexity: Perplexity) -> RailOutcome:
    """Both measures of a text; an empty one has none."""
    if not text.strip():
        return RailOutcome.allow()
    ratio = len(text) / await _perplexity(text, perplexity)
    words = text.split()
    edges = [words[:EDGE_WORDS], words[-EDGE_WORDS:]] if len(words) >= EDGE_WORDS else []
    highest = max([await _perplexity(" ".join(edge), perplexity) for edge in edges], default=0.0)
    metadata = {"length_per_perplexity": ratio, "edge_perplexity": highest}
    found = (
        ratio >= options.length_per_perplexity_threshold
        or highest >= options.prefix_suffix_perplexity_threshold
    )
    return RailOutcome.block(metadata=metadata) if found else RailOutcome.allow(metadata=metadata)


async def _perplexity(text: str, measure: Perplexity) -> float:
    given = measure(text) if inspect.iscoroutinefunction(measure) else await asyncio.to_thread(measure, text)
    value = await given if inspect.isawaitable(given) else given
    if not (isinstance(value, int | float) and value >= 1):
        raise ValueError(f"a perplexity is a number of 1 or more, not {value!r}")
    return float(value)


def _options(config: RailsConfig) -> JailbreakDetectionConfig:
    return config.rails.config.jailbreak_detection or JailbreakDetectionConfig()


def _outcome(answer: Mapping[str, Any]) -> RailOutcome:
    verdict = answer.get("jailbreak")
    if not isinstance(verdict, bool):
        raise ValueError(f"the endpoint's answer has no `jailbreak: true` or `false`: {dict(answer)!r}")  # noqa: TRY004 -- as bad JSON
    metadata = {name: answer[name] for name in ("score",) if name in answer}
    return RailOutcome.block(metadata=metadata) if verdict else RailOutcome.allow(metadata=metadata)
