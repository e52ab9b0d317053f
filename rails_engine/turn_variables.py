"""What the system flows of Colang 1.0 run of a kind of rail: what the configuration lists, as a request asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rails_engine.config import RailsConfig
from rails_engine.content_parts import flattened
from rails_engine.options import GenerationOptions
from rails_engine.request import Request, chosen

_NOTHING_ASKED: Mapping[str, Any] = {
    "_dialog": True,
    "_answer_given": False,
    "_said_by": None,
    "generation_options": None,
}


class TurnVariables:
    """The variables that a turn begins with, for one configuration. `has_intents`: its program knows what users may say."""

    def __init__(self, config: RailsConfig, *, has_intents: bool) -> None:
        self._config = config
        self._has_intents = has_intents
        self._listed: list[Any] = []
        self._by_default: Mapping[str, Any] = {}

    def of(self, request: Request) -> Mapping[str, Any]:
        """The variables for a request; those of one without options are made once, and again where lists of rails change.

        Raises:
            InvalidRequestError: the options name a rail that is not listed.
        """
        options = request.options
        if options is not None:
            return self._whole(self._chosen(options, _given_answer(request)))
        config, rails = self._config, self._config.rails
        listed = [
            rails.input.flows,
            rails.output.flows,
            rails.retrieval.flows,
            rails.tool_input.flows,
            rails.tool_output.flows,
        ]
        if [config.passthrough, *listed] != self._listed:
            self._listed = [config.passthrough, *map(list, listed)]
            inputs, outputs, retrieval, tool_inputs, tool_outputs = map(tuple, listed)
            self._by_default = self._whole(
                {
                    "_input_flows": inputs,
                    "_output_flows": outputs,
                    "_retrieval_flows": retrieval,
                    "_tool_input_flows": tool_inputs,
                    "_tool_output_flows": tool_outputs,
                }
            )
        return self._by_default

    def _whole(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        # A model that answers with its first call is told what was found for it, which passes the retrieval rails before.
        at_once = not self._has_intents or self._config.rails.dialog.single_call.enabled
        answers_at_once = at_once and not self._config.passthrough
        retrieves = answers_at_once and bool(asked["_retrieval_flows"])
        return {**_NOTHING_ASKED, **asked, "_retrieves": retrieves}

    def _chosen(self, options: GenerationOptions, given: str | None) -> dict[str, Any]:
        """As a request asks; `given` is an answer that is only to be checked."""
        rails, asked = self._config.rails, options.rails
        inputs, outputs = chosen(rails.input.flows, asked.input), chosen(rails.output.flows, asked.output)
        return {
            "_input_flows": inputs,
            "_output_flows": outputs,
            "_retrieval_flows": chosen(rails.retrieval.flows, asked.retrieval),
            "_tool_input_flows": chosen(rails.tool_input.flows, asked.tool_input),
            "_tool_output_flows": chosen(rails.tool_output.flows, asked.tool_output),
            "_dialog": asked.dialog,
            "_answer_given": bool(given is not None and asked.output),
            "generation_options": options.model_dump(),
            **({"bot_message": given} if given is not None else {}),
        }


def _given_answer(request: Request) -> str | None:
    """What is to be checked, not answered, where dialog rails are off: the last message if it is an assistant's."""
    options = request.options
    if options is None or options.rails.dialog:
        return None
    last = request.messages[-1] if request.messages else {}
    return str(flattened(last.get("content")) or "") if last.get("role") == "assistant" else request.given
