"""The behaviour cases of Colang 1.0 beside the project, run as they are, but for those in `quirks.yaml` with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.embeddings.index import EmbeddingsIndex, IndexItem
from nemoguardrails.testing import FakeLLMModel
from tests.rails_engine.canonical.transcripts import ACTIONS

ROOT = Path(__file__).resolve().parents[3]
CASES = ROOT.parent / "shared" / "colang_cases" / "v1"
QUIRKS = {entry["case"] for entry in yaml.safe_load(Path(__file__).with_name("quirks.yaml").read_text())}
REMOVE_LAST = "(remove last message)"

Event = Mapping[str, Any]

if not CASES.is_dir():
    pytest.skip("the behaviour cases are not beside the project", allow_module_level=True)


def cases() -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(CASES.glob("*.yaml"))]


class SharedWords(EmbeddingsIndex):
    """Finds texts by the share of words that they have in common (Jaccard)."""

    def __init__(self, **_: Any) -> None:
        self._items: list[IndexItem] = []

    async def add_item(self, item: IndexItem) -> None:
        self._items.append(item)

    async def add_items(self, items: list[IndexItem]) -> None:
        self._items.extend(items)

    async def build(self) -> None:
        """Nothing is built."""

    async def search(
        self, text: str, max_results: int = 20, threshold: float | None = None
    ) -> list[IndexItem]:
        said = words(text)
        scored = [(likeness(said, words(item.text)), item) for item in self._items]
        near = [(score, item) for score, item in scored if threshold is None or score >= threshold]
        return [item for _, item in sorted(near, key=lambda pair: -pair[0])[:max_results]]


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def likeness(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0


def story(case: Mapping[str, Any]) -> tuple[LLMRails, FakeLLMModel]:
    config = {"models": [], "core": {"embedding_search_provider": {"name": "shared_words"}}}
    config |= yaml.safe_load(case.get("config") or "{}") or {}
    model = FakeLLMModel(responses=list(case.get("llm") or ()))
    rails = LLMRails(
        RailsConfig.from_content(case["colang"], yaml.safe_dump(config, sort_keys=False)), llm=model
    )
    rails.register_embedding_search_provider("shared_words", SharedWords)
    for name, function in ACTIONS.items():
        rails.register_action(function, name)
    return rails, model


async def play(case: Mapping[str, Any]) -> list[str]:
    """What is wrong with the answers to the turns of a case.

    Raises:
        Exception: the program cannot be loaded, or an expression of it fails.
    """
    rails, model = story(case)
    history: list[Any] = []
    wrong: list[str] = []
    for turn in case["turns"]:
        if "context" in turn:
            history.append({"type": "ContextUpdate", "data": turn["context"]})
        said = (
            [{"type": "UtteranceUserActionFinished", "final_transcript": turn["user"]}]
            if "user" in turn
            else []
        )
        history += said or turn.get("events", [])
        new = await rails.generate_events_async(history)
        history += new
        wrong += differences(turn, new)
    if not case.get("llm_leftover") and model.inference_count != len(case.get("llm") or ()):
        wrong.append(f"{model.inference_count} model calls")
    return wrong


def differences(turn: Mapping[str, Any], events: list[dict[str, Any]]) -> list[str]:
    said = spoken(events)
    choices = turn.get("expect_bot_one_of") or [turn.get("expect_bot", said)]
    wrong = [] if said in choices else [f"said {said}, not {choices}"]
    rest = iter(events)
    wrong += [
        f"no {each}" for each in turn.get("expect_events", ()) if not any(covers(each, e) for e in rest)
    ]
    unwanted = [each if isinstance(each, dict) else {"type": each} for each in turn.get("expect_absent", ())]
    return wrong + [f"there is {each}" for each in unwanted if any(covers(each, event) for event in events)]


def spoken(events: list[dict[str, Any]]) -> list[str]:
    said: list[str] = []
    for event in events:
        if event["type"] == "StartUtteranceBotAction":
            said = said[:-1] if event["script"] == REMOVE_LAST else [*said, event["script"]]
    return said


def covers(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(found, Mapping) and all(
            key in found and covers(value, found[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(covers, wanted, found))
    return bool(wanted == found)


async def outcome(case: Mapping[str, Any]) -> list[str]:
    """What is wrong with a case, its errors included."""
    try:
        wrong = await play(case)
    except Exception as error:
        if "expect_error" in case:
            return []
        raise AssertionError(f"{case['name']} failed") from error
    return ["no error"] if "expect_error" in case else wrong


@pytest.mark.parametrize(
    "case", [each for each in cases() if each["name"] not in QUIRKS], ids=lambda c: c["name"]
)
async def test_a_behaviour_case(case: dict[str, Any]) -> None:
    assert await outcome(case) == []


@pytest.mark.parametrize(
    "case", [each for each in cases() if each["name"] in QUIRKS], ids=lambda c: c["name"]
)
async def test_what_is_left_behind_is_a_quirk_and_answered_otherwise(case: dict[str, Any]) -> None:
    assert case["quirk"]
    assert await outcome(case)
