"""What of the program a prompt should show: example utterances, intents worth offering, flows to imitate.

All of it is read from the flows' own text. Example utterances go through the configuration's search provider where
there are more than a prompt shows; the rest is ranked by the words that it shares with what was said, which costs
microseconds and needs no network.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

import colang
from rails_engine.knowledge import Example
from rails_engine.scene import Scene

log = logging.getLogger(__name__)

_UTTERANCE = re.compile(
    r"""(?:\buser said\s*\(?|final_transcript\s*=)\s*(?P<quote>["'])(?P<text>.*?)(?<!\\)(?P=quote)"""
)
_SPECIAL = re.compile(r"\bregex\s*\(")
_WORD = re.compile(r"\w+")


def shown_flows(scene: Scene) -> list[colang.FlowInfo]:
    """The flows that prompts may show, in the program's order."""
    return [flow for flow in colang.flows(scene.program, scene.machine).values() if not flow.excluded]


async def intent_examples(scene: Scene, action: str, most: int) -> list[Example]:
    """At most `most` example utterances of user intents, in the order of prompts: the one nearest to `action` is last."""
    intents = [flow for flow in shown_flows(scene) if is_user_intent(flow)]
    examples = [Example(text, flow.name) for flow in intents for text in utterances(flow)]
    match = _UTTERANCE.search(action)
    said = match.group("text") if match else action
    nearest = await _nearest(scene, examples, said, most) if len(examples) > most else None
    if nearest is None:
        nearest = sorted(examples, key=lambda example: likeness(said, example.text), reverse=True)[:most]
    return nearest[::-1]


async def _nearest(scene: Scene, examples: Sequence[Example], said: str, most: int) -> list[Example] | None:
    """The nearest ones, best first; None where the search failed."""
    from rails_engine.retrieval import RetrievalError

    try:
        return await scene.services.nearest_examples(examples, said, most)
    except RetrievalError as error:
        log.warning("the examples for a prompt are chosen by their words alone: %s", error)
        return None


def is_user_intent(flow: colang.FlowInfo) -> bool:
    """True for a flow that stands for something a user may mean, by its name or its `@meta(user_intent=...)`."""
    return flow.name.startswith("user ") or bool(flow.meta.get("user_intent"))


def utterances(flow: colang.FlowInfo) -> list[str]:
    """The literal texts that a flow of nothing but one such statement waits for."""
    body = [
        line
        for line in flow.text.splitlines()[1:]
        if line.strip() and not line.strip().startswith(("#", '"""'))
    ]
    if not body or any(not line.strip().startswith(("user said", "match ", "or ")) for line in body):
        return []
    return [
        match.group("text")
        for line in body
        if not _SPECIAL.search(line)
        for match in _UTTERANCE.finditer(line)
    ]


def awaited_intents(scene: Scene) -> list[str]:
    """The user intents that some flow waits for now."""
    flows = colang.flows(scene.program, scene.machine)
    awaited = colang.awaited_flows(scene.program, scene.machine)
    return [
        name for name in awaited if name in flows and is_user_intent(flows[name]) and not flows[name].excluded
    ]


def similar_flows(scene: Scene, text: str, most: int = 5) -> str:
    """The text of the flows nearest to `text`, best first."""
    flows = [flow for flow in shown_flows(scene) if flow.text.strip()]
    flows.sort(key=lambda flow: likeness(text, flow.text), reverse=True)
    return "\n\n".join(flow.text.strip() for flow in flows[:most])


def likeness(one: str, other: str) -> float:
    """Dice's coefficient over the sets of words, 0 to 1 (L. R. Dice, Ecology 26, 1945)."""
    left, right = set(_WORD.findall(one.lower())), set(_WORD.findall(other.lower()))
    return 2 * len(left & right) / (len(left) + len(right)) if left and right else 0.0
