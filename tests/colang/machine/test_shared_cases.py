"""The behaviour cases beside the project, run as they are, but for those listed in `quirks.yaml` with a reason.

Cases that need a model or a configuration are left to the tests of the rails engine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from colang import ColangError, Event, Source, load, new_state
from tests.colang.machine.transcripts import FINISHED_AT_ONCE, World

ROOT = Path(__file__).resolve().parents[3]
CASES = ROOT.parent / "shared" / "colang_cases" / "v2"
QUIRKS = {entry["case"] for entry in yaml.safe_load((ROOT / "tests/colang/quirks.yaml").read_text())}
ENGINE = {"llm", "config"}
ACTIONS = {"gen_bad_flow"}
"""Cases about what an action of the rails engine answers."""


def cases() -> list[dict[str, Any]]:
    found = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CASES.glob("*.yaml"))]
    return [case for case in found if case["name"] not in QUIRKS | ACTIONS and not ENGINE & case.keys()]


if not CASES.is_dir():
    pytest.skip("the behaviour cases are not beside the project", allow_module_level=True)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["name"])
def test_a_behaviour_case(case: dict[str, Any]) -> None:
    if "expect_error" in case:
        with pytest.raises(ColangError):
            new_state(load([Source("main.co", case["colang"])]))
        return
    program = load([Source("main.co", case["colang"])], config={"colang_version": "2.x"})
    world = World(program, new_state(program, 7), acts=case.get("ack", FINISHED_AT_ONCE) != [])
    turns = case["turns"]
    if not turns or turns[0].get("events") != []:
        world.tell([])
    for turn in turns:
        sent = world.tell(_events(world, turn))
        assert _expected(turn, sent), f"{turn} but sent {sent}"
    assert world.printed == case.get("expect_stdout", [])


def _events(world: World, turn: dict[str, Any]) -> list[Event]:
    if "user" in turn:
        return world.events(repr(turn["user"]).replace("'", '"'))
    return [_event(world, dict(properties)) for properties in turn["events"]]


def _event(world: World, properties: dict[str, Any]) -> Event:
    name = properties.pop("type")
    for key, value in properties.items():
        if isinstance(value, str) and value.startswith("@uid:"):
            properties[key] = world.started.get(value[5:], value)
        elif isinstance(value, dict) and set(value) == {"$set"}:
            properties[key] = set(value["$set"])
    if "Action" in name:
        properties.setdefault("action_uid", "foreign")
    return world.stamp(name, properties)


def _expected(turn: dict[str, Any], sent: list[Event]) -> bool:
    if "expect_bot" in turn:
        said = [event.arguments["script"] for event in sent if event.name == "StartUtteranceBotAction"]
        return bool(said == turn["expect_bot"])
    choices = turn.get("expect_events_one_of", [turn["expect_events"]] if "expect_events" in turn else None)
    return choices is None or any(_same(choice, sent) for choice in choices)


def _same(expected: list[dict[str, Any]], sent: list[Event]) -> bool:
    return len(expected) == len(sent) and all(
        wanted["type"] == event.name
        and all(event.arguments.get(name) == value for name, value in wanted.items() if name != "type")
        for wanted, event in zip(expected, sent, strict=True)
    )
