"""Actions by name, outside a configuration and through `rails.runtime`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.action_dispatcher import ActionDispatcher
from nemoguardrails.exceptions import LLMCallException
from nemoguardrails.testing import FakeLLMModel


def add(a: int, b: int = 2) -> int:
    return a + b


async def boom() -> None:
    raise ValueError("boom")


async def ask() -> None:
    raise LLMCallException("the model is away")


@pytest.mark.parametrize(
    ("name", "params", "result"),
    [
        ("add", {"a": 1}, (3, "success")),
        ("AddAction", {"a": 1, "b": 1}, (2, "success")),
        ("add", {}, (None, "failed")),
        ("boom", {}, (None, "failed")),
        ("nobody knows it", {}, (None, "failed")),
    ],
)
async def test_an_action_is_run_by_its_name(name: str, params: dict[str, Any], result: Any) -> None:
    dispatcher = ActionDispatcher(load_all_actions=False)
    dispatcher.register_action(add)
    dispatcher.register_action(boom)
    assert await dispatcher.execute_action(name, params) == result


async def test_a_model_that_fails_is_no_failure_of_the_action() -> None:
    dispatcher = ActionDispatcher(load_all_actions=False)
    dispatcher.register_action(ask)
    with pytest.raises(LLMCallException):
        await dispatcher.execute_action("ask", {})


async def test_actions_are_read_from_a_folder(tmp_path: Path) -> None:
    code = "from nemoguardrails.actions import action\n@action()\nasync def seven():\n    return 7\n"
    (tmp_path / "actions.py").write_text(code)
    assert await ActionDispatcher(config_path=str(tmp_path)).execute_action("seven", {}) == (7, "success")


async def test_the_runtime_hands_out_actions_flows_and_events() -> None:
    colang = (
        'define user hi\n  "hi"\ndefine bot greet\n  "Hello!"\ndefine flow greeting\n  user hi\n  bot greet\n'
    )
    rails = LLMRails(RailsConfig.from_content(colang, "models: []"), llm=FakeLLMModel(["hi"]))
    rails.register_action(add)
    seen: list[str] = []
    rails.runtime.watchers.append(lambda event: seen.append(event["type"]))
    await rails.generate_async(prompt="hi")
    assert await rails.runtime.action_dispatcher.execute_action("add", {"a": 2}) == (4, "success")
    assert "greeting" in rails.runtime.flow_configs
    assert [kind for kind in seen if kind in {"UserIntent", "BotIntent", "Listen"}] == [
        "UserIntent",
        "BotIntent",
        "Listen",
    ]
