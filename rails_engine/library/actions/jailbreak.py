"""Jailbreak attempts, judged by an endpoint: a heuristics server, or NVIDIA's classifier.

The heuristics are two perplexity measures of the text, computed by the server against thresholds that it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.actions import RailOutcome, action
from rails_engine.config import RailsConfig
from rails_engine.config.schema import JailbreakDetectionConfig
from rails_engine.errors import ConfigurationError
from rails_engine.library.actions.endpoints import JsonPoster, post_json
from rails_engine.library.actions.reading import readable


@action(is_system_action=True)
async def jailbreak_detection_heuristics(
    config: RailsConfig, context: Mapping[str, Any], http: JsonPoster | None = None
) -> RailOutcome:
    """Whether the heuristics at `server_endpoint` take the user's message for a jailbreak attempt.

    Raises:
        ConfigurationError: no endpoint is configured.
        EndpointError: the endpoint does not answer with a verdict.
    """
    options = _options(config)
    if not options.server_endpoint:
        raise ConfigurationError(
            "jailbreak detection heuristics needs rails.config.jailbreak_detection.server_endpoint"
        )
    body = {
        "prompt": readable(context.get("user_message"), config),
        "lp_threshold": options.length_per_perplexity_threshold,
        "ps_ppl_threshold": options.prefix_suffix_perplexity_threshold,
    }
    return _outcome(await (http or post_json)(options.server_endpoint, body, {}))


@action(is_system_action=True)
async def jailbreak_detection_model(
    config: RailsConfig, context: Mapping[str, Any], http: JsonPoster | None = None
) -> RailOutcome:
    """Whether the classifier at `nim_base_url`, or at `server_endpoint`, takes the message for a jailbreak attempt.

    Raises:
        ConfigurationError: neither endpoint is configured.
        EndpointError: the endpoint does not answer with a verdict.
    """
    options = _options(config)
    text = readable(context.get("user_message"), config)
    if options.nim_base_url:
        key = options.get_api_key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{options.nim_base_url.rstrip('/')}/{(options.nim_server_endpoint or '').lstrip('/')}"
        return _outcome(await (http or post_json)(url, {"input": text}, headers))
    if options.server_endpoint:
        return _outcome(await (http or post_json)(options.server_endpoint, {"prompt": text}, {}))
    raise ConfigurationError(
        "jailbreak detection model needs `nim_base_url` or `server_endpoint` under rails.config.jailbreak_detection"
    )


def _options(config: RailsConfig) -> JailbreakDetectionConfig:
    return config.rails.config.jailbreak_detection or JailbreakDetectionConfig()


def _outcome(answer: Mapping[str, Any]) -> RailOutcome:
    verdict = answer.get("jailbreak")
    if not isinstance(verdict, bool):
        raise ValueError(f"the endpoint's answer has no `jailbreak: true` or `false`: {dict(answer)!r}")  # noqa: TRY004
    metadata = {name: answer[name] for name in ("score",) if name in answer}
    return RailOutcome.block(metadata=metadata) if verdict else RailOutcome.allow(metadata=metadata)
