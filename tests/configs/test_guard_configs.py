"""The bundled configurations that are rails round a model: they load, and their prompts are read as they should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from rails_engine.config import RailsConfig
from rails_engine.library import COLANG_1
from rails_engine.prompts import PromptLibrary

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = ("guardrails_only", "content_safety", "topic_control", "tool_rails")


def load(name: str) -> RailsConfig:
    return RailsConfig.from_path(CONFIGS / name)


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_without_a_warning(name: str) -> None:
    config, problems = RailsConfig.inspect(CONFIGS / name)
    assert config
    assert problems == []
    assert (CONFIGS / name / "README.md").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_every_rail_it_lists_is_shipped(name: str) -> None:
    shipped = "".join(file.read_text(encoding="utf-8") for file in COLANG_1.glob("*.co"))
    flows = [flow for rails in load(name).rails.directions().values() for flow in rails.flows]
    assert flows
    assert [flow for flow in flows if f"define subflow {flow.partition(' $')[0]}\n" not in shipped] == []


@pytest.mark.parametrize(
    ("text", "source", "found"),
    [
        ("my Password: hunter2", "input", True),
        ("I forgot my password", "input", False),
        ("4111 1111 1111 1111", "output", True),
        ("call 555 1234", "output", False),
    ],
)
def test_the_patterns_find_what_they_are_for(text: str, source: str, found: bool) -> None:
    detection = load("guardrails_only").rails.config.regex_detection
    options = getattr(detection, source)
    assert any(pattern.search(text) for pattern in options.compiled_patterns) is found


@pytest.mark.parametrize(
    ("task", "answer", "verdict"),
    [
        ("content_safety_check_input $model=content_safety", '{"User Safety": "safe"}', [True]),
        (
            "content_safety_check_output $model=content_safety",
            '{"User Safety": "safe", "Response Safety": "unsafe", "Safety Categories": "Violence"}',
            [False, "Violence"],
        ),
    ],
)
def test_the_guard_models_prompt_and_answer(task: str, answer: str, verdict: list[object]) -> None:
    library = PromptLibrary(load("content_safety"))
    rendered = library.render(task, {"user_input": "QUESTION", "bot_response": "ANSWER"})
    assert rendered.prompt
    assert "user: QUESTION" in rendered.prompt
    assert ("response: ANSWER" in rendered.prompt) is ("output" in task)
    assert library.parse(task, answer) == verdict
