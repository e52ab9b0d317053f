"""What is said where an action could not be run, or a rail could not judge."""

from __future__ import annotations

import logging

from colang.v1 import RunAction, resolved
from rails_engine.canonical.actions import failure_events
from rails_engine.canonical.program import is_own
from rails_engine.canonical.scene import CanonicalScene
from rails_engine.canonical.texts import INTERNAL_ERROR
from rails_engine.config import parse_flow_ref
from rails_engine.content_parts import unread_parts
from rails_engine.scene import Outcome, RunningRail
from rails_engine.umim import EventDict

log = logging.getLogger(__name__)


def unseen(scene: CanonicalScene, reference: str) -> tuple[EventDict, ...]:
    """What happens where a rail of the configuration's own would have to read more than text; else nothing.

    Rails of the library say for themselves what they can read.
    """
    name, config = parse_flow_ref(reference).name, scene.config
    unread = unread_parts(scene.context.get("user_message"), allow_media=config.rails.input.allow_images)
    if next(unread, None) is None:
        return ()
    policy = config.rails.policies.get(name)
    passes = policy.allows_on_error or policy.reads_images if policy else config.rails.input.allows_on_error
    if passes or not is_own(config, name):
        return ()
    log.warning("the rail %s cannot read all of the message and blocks (rails.input.allow_images)", name)
    return refusal_of(scene, RunningRail("input", (name,)))


def refusal_of(scene: CanonicalScene, rail: RunningRail | None) -> tuple[EventDict, ...]:
    """What happens where a rail could not judge: its exception, where exceptions are wanted and it has one, else a refusal."""
    code = scene.program.flows.get(rail.flows[0]) if rail and rail.flows else None
    if code is not None and scene.config.enable_rails_exceptions:
        for element in code.elements:
            event = element.arguments.get("event") if isinstance(element, RunAction) else None
            if event and str(event.get("_type")).endswith("Exception"):
                given = resolved(event, scene.context)
                return ({"type": given.pop("_type"), **given, "reason": "error"},)
    return failure_events(INTERNAL_ERROR)


def not_found(name: str) -> tuple[Outcome, str]:
    """The outcome of an action that does not exist, and why it failed."""
    message = f"Action '{name}' not found."
    return Outcome(None, events=failure_events(message)), message


def told(failure: BaseException) -> str:
    """An error in words; some have none of their own."""
    return str(failure) or type(failure).__name__
