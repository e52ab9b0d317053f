"""Actions that look at the program, or change it for one conversation; no model is asked."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import colang
from rails_engine.scene import Outcome, Scene

log = logging.getLogger(__name__)

_HEADER = re.compile(r"^\s*flow\s+(?P<name>[^$(\n]*?)\s*(?:[$(]|->|:?\s*$)", re.MULTILINE)


async def add_flows(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`AddFlowsAction(config=source)`: the names of the flows that were new.

    Source that cannot be read becomes a flow of the name in its first line that says so, since the caller is about
    to start it by that name.
    """
    source = str(arguments["config"])
    try:
        return Outcome(colang.add_flows(scene.program, scene.machine, source))
    except (colang.ColangSyntaxError, colang.ColangLoadError) as error:
        log.warning("flows that were to be added cannot be read:\n%s", error)
        return Outcome(colang.add_flows(scene.program, scene.machine, _excuse(source)))


def _excuse(source: str) -> str:
    header = _HEADER.search(source)
    name = header.group("name") if header else f"_dynamic_{short_id()}"
    return f'flow {name}\n  bot say "Internal error on flow `{name}`."\n'


def short_id() -> str:
    """Eight hexadecimal digits, as generated flows carry them in their names."""
    return uuid4().hex[:8]


async def remove_flows(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`RemoveFlowsAction(flow_ids=[…])`: the flows and their instances go without events."""
    colang.remove_flows(scene.program, scene.machine, _texts(arguments["flow_ids"]))
    return Outcome()


async def create_flow(_scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`CreateFlowAction(name, body, decorators)`: the source of a flow with a fresh name."""
    decorators = arguments.get("decorators")
    name = f"_dynamic_{short_id()} {arguments['name']}"
    header = f"{decorators}\nflow {name}" if decorators else f"flow {name}"
    return Outcome({"name": name, "body": f"{header}\n  {arguments['body']}"})


async def flow_defined(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`CheckFlowDefinedAction(flow_id)`: a definition exists."""
    return Outcome(arguments["flow_id"] in colang.flows(scene.program, scene.machine))


async def flow_exists(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`CheckValidFlowExistsAction(flow_id)`: the flow is defined, or an instance of it exists or existed."""
    flow_id = str(arguments["flow_id"])
    defined = flow_id in colang.flows(scene.program, scene.machine)
    return Outcome(defined or colang.flow_known(scene.machine, flow_id))


async def event_awaited(scene: Scene, arguments: Mapping[str, Any]) -> Outcome:
    """`CheckForActiveEventMatchAction(event_name, event_params)`: some flow waits for this event."""
    event = colang.Event(
        str(arguments["event_name"]), dict(arguments.get("event_params") or arguments.get("args") or {})
    )
    return Outcome(colang.event_awaited(scene.program, scene.machine, event))


async def last_user_message(scene: Scene, _arguments: Mapping[str, Any]) -> Outcome:
    """`GetLastUserMessageAction()`: the user's last words, None before the first."""
    return Outcome(scene.last_words() or None)


def _texts(values: Sequence[Any] | str) -> list[str]:
    return [values] if isinstance(values, str) else [str(value) for value in values]
