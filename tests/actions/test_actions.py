"""Actions from registration to result."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import BaseModel

from rails_engine.actions import (
    ActionOutput,
    ActionRegistry,
    ActionResult,
    ActionRunner,
    ActionsServer,
    Opaque,
    RailOutcome,
    TransformTarget,
    action,
    code_folders,
    discover_actions,
    load_config_modules,
    require_rail_outcome,
    to_plain,
    unwrapped,
)
from rails_engine.config import RailsConfig
from rails_engine.errors import (
    ActionError,
    ActionNotFoundError,
    ActionServerError,
    ActionTimeoutError,
    ConfigCodeError,
)
from tests.loopback import serving


@pytest.fixture
def runner() -> Iterator[ActionRunner]:
    runner = ActionRunner(4)
    yield runner
    runner.close()


@pytest.fixture
def registry() -> ActionRegistry:
    return ActionRegistry()


async def run(
    runner: ActionRunner, registry: ActionRegistry, name: str, given: dict[str, Any], **injected: Any
) -> ActionOutput:
    return await runner.run(registry.require(name), given, injected)


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fetch_price", "FetchPriceAction", "FetchPrice", "fetch price"])
def test_one_action_under_each_spelling(registry: ActionRegistry, name: str) -> None:
    def fetch_price() -> int:
        return 3

    registry.register(fetch_price)
    found = registry.get(name)
    assert found
    assert found.target is fetch_price


def test_an_exact_name_goes_first(registry: ActionRegistry) -> None:
    registry.register(lambda: 1, "look_up")
    registry.register(lambda: 2, "LookUpAction")
    assert registry.require("look_up").call() == 1
    assert registry.require("LookUpAction").call() == 2


def test_the_mark_gives_name_and_kind(registry: ActionRegistry) -> None:
    @action(is_system_action=True, name="other", execute_async=True)
    async def own() -> None: ...

    found = registry.register(own)
    assert (found.name, found.is_system_action, found.execute_async) == ("other", True, True)


def test_a_missing_action_suggests_one(registry: ActionRegistry) -> None:
    registry.register(lambda: 1, "check_price")
    with pytest.raises(
        ActionNotFoundError, match=r"Action 'chek_price' not found\. Did you mean 'check_price'\?"
    ):
        registry.require("chek_price")


def test_what_cannot_be_called_is_no_action(registry: ActionRegistry) -> None:
    with pytest.raises(TypeError, match="5 is no action"):
        registry.register(5)


# --- running -------------------------------------------------------------------------------------------------------


async def test_an_action_is_handed_its_arguments_and_what_it_names_beside_them(
    runner: ActionRunner, registry: ActionRegistry
) -> None:
    async def inspect_all(word: str, context: dict[str, Any], llm: Any = None, kb: Any = "none") -> str:
        return f"{word} {context['x']} {llm} {kb}"

    registry.register(inspect_all)
    output = await run(runner, registry, "inspect_all", {"word": "w"}, context={"x": 1}, llm="main", unused=1)
    assert output.value == "w 1 main none"


async def test_an_argument_of_the_flow_wins_over_injection(
    runner: ActionRunner, registry: ActionRegistry
) -> None:
    registry.register(lambda context: context, "show")
    assert (await run(runner, registry, "show", {"context": "mine"}, context="injected")).value == "mine"


async def test_an_action_may_have_its_own_model(runner: ActionRunner, registry: ActionRegistry) -> None:
    registry.register(lambda llm: llm, "judge")
    assert (await run(runner, registry, "judge", {}, llm="main", judge_llm="judge's")).value == "judge's"


async def test_arguments_by_position_are_taken_in_order(
    runner: ActionRunner, registry: ActionRegistry
) -> None:
    registry.register(lambda a, b: f"{a}{b}", "join")
    assert (await run(runner, registry, "join", {"$0": "x", "$1": "y"})).value == "xy"


async def test_an_unknown_argument_is_named(runner: ActionRunner, registry: ActionRegistry) -> None:
    registry.register(lambda a: a, "one")
    with pytest.raises(ActionError, match=r"has no parameter 'b' \(it has: a\)"):
        await run(runner, registry, "one", {"b": 1})


async def test_further_arguments_where_they_are_taken(runner: ActionRunner, registry: ActionRegistry) -> None:
    registry.register(lambda **further: further, "any")
    assert (await run(runner, registry, "any", {"b": 1}, context={})).value == {"b": 1}


async def test_a_plain_function_does_not_hold_up_the_loop(
    runner: ActionRunner, registry: ActionRegistry
) -> None:
    go = threading.Event()
    registry.register(lambda: go.wait(5) and threading.current_thread().name, "slow")
    task = asyncio.create_task(run(runner, registry, "slow", {}))
    await asyncio.sleep(0.01)
    go.set()
    assert (await task).value.startswith("action")


async def test_a_class_is_made_once_when_first_needed(runner: ActionRunner, registry: ActionRegistry) -> None:
    made: list[int] = []

    @action(name="word_length")
    class WordLength:
        def __init__(self) -> None:
            made.append(1)

        def run(self, word: str) -> int:
            return len(word)

    registry.register(WordLength)
    assert registry.require("word_length").parameters == ("word",)
    assert made == []
    assert [(await run(runner, registry, "word_length", {"word": w})).value for w in ("a", "ab")] == [1, 2]
    assert made == [1]


async def test_marked_methods_of_an_object(runner: ActionRunner, registry: ActionRegistry) -> None:
    class Shop:
        price = 7

        @action()
        async def ask_price(self) -> int:
            return self.price

    registry.register_from(Shop())
    assert (await run(runner, registry, "AskPriceAction", {})).value == 7


async def test_a_runnable_of_langchain_is_an_action(runner: ActionRunner, registry: ActionRegistry) -> None:
    class Runnable:
        async def ainvoke(self, input: dict[str, Any]) -> str:  # noqa: A002 - LangChain's name
            return f"got {input}"

    registry.register(Runnable(), "chain")
    assert (await run(runner, registry, "chain", {"q": 1})).value == "got {'q': 1}"


async def test_what_an_action_raises_comes_through(runner: ActionRunner, registry: ActionRegistry) -> None:
    async def boom() -> None:
        raise KeyError("inside")

    registry.register(boom)
    with pytest.raises(KeyError, match="inside"):
        await run(runner, registry, "boom", {})


@pytest.mark.parametrize("hang", [lambda: time.sleep(0.3), lambda: asyncio.sleep(30)])
async def test_an_action_that_takes_longer_than_its_limit_is_ended(
    runner: ActionRunner, registry: ActionRegistry, hang: Any
) -> None:
    registry.register(hang, "hang")
    with pytest.raises(ActionTimeoutError, match=r"'hang' did not end within 0\.02 s"):
        await runner.run(registry.require("hang"), {}, {}, timeout_s=0.02)


async def test_an_actions_own_timeout_error_is_its_own(
    runner: ActionRunner, registry: ActionRegistry
) -> None:
    async def give_up() -> None:
        raise TimeoutError("upstream")

    registry.register(give_up)
    with pytest.raises(TimeoutError, match="upstream") as caught:
        await runner.run(registry.require("give_up"), {}, {}, timeout_s=5)
    assert not isinstance(caught.value, ActionTimeoutError)


# --- results -------------------------------------------------------------------------------------------------------


@dataclass
class Point:
    x: int
    tags: tuple[str, ...]


class Order(BaseModel):
    amount: int
    at: Point


class Colour(Enum):
    RED = "red"


class Handle:
    """Something that flows must not look into."""


def test_results_become_plain_data() -> None:
    assert to_plain(Order(amount=1, at=Point(2, ("a",)))) == {"amount": 1, "at": {"x": 2, "tags": ("a",)}}
    assert to_plain([Colour.RED, {"k": (1, 2)}, {1, "a"}]) == ["red", {"k": (1, 2)}, {1, "a"}]


def test_anything_else_is_a_handle_that_actions_look_into() -> None:
    secret = Handle()
    plain = to_plain({"it": secret})
    assert isinstance(plain["it"], Opaque)
    assert unwrapped(plain) == {"it": secret}


def test_a_circle_ends() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert to_plain(circle)


async def test_a_result_with_events_and_context(runner: ActionRunner, registry: ActionRegistry) -> None:
    result = ActionResult(
        return_value=Point(1, ()), events=[{"type": "X"}], context_updates={"p": Point(2, ())}
    )
    registry.register(lambda: result, "full")
    output = await run(runner, registry, "full", {})
    assert output.value == {"x": 1, "tags": ()}
    assert output.events == ({"type": "X"},)
    assert output.context_updates == {"p": {"x": 2, "tags": ()}}


async def test_a_verdict_is_kept_and_shown(runner: ActionRunner, registry: ActionRegistry) -> None:
    verdict = RailOutcome.transform([(TransformTarget.USER_MESSAGE, "masked")], metadata={"n": 1})
    registry.register(lambda: verdict, "mask")
    output = await run(runner, registry, "mask", {})
    assert output.verdict is verdict
    shown = {
        name: output.value[name] for name in ("is_blocked", "is_transform", "transform_text", "metadata")
    }
    assert shown == {
        "is_blocked": False,
        "is_transform": True,
        "transform_text": "masked",
        "metadata": {"n": 1},
    }


def test_a_verdict_says_whether_it_blocks_and_refuses_what_says_nothing() -> None:
    assert RailOutcome.block(reason="r").is_blocked
    assert not RailOutcome.allow().is_blocked
    failure = RailOutcome.failure(reason="down")
    assert (failure.is_blocked, failure.failed) == (True, True)
    with pytest.raises(ValueError, match="one rewrite for each target"):
        RailOutcome.transform([])
    with pytest.raises(TypeError, match="not with bool"):
        require_rail_outcome(True)


# --- files ---------------------------------------------------------------------------------------------------------

MARKED = "from rails_engine.actions import action\n@action()\nasync def {name}():\n    return {value}\n"


def folder(root: Path, files: dict[str, str]) -> RailsConfig:
    for name, text in {"config.yml": "models: []", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return RailsConfig.from_path(root)


async def test_actions_of_a_folder_are_found_in_its_files_below_too(
    tmp_path: Path, runner: ActionRunner, registry: ActionRegistry
) -> None:
    config = folder(
        tmp_path,
        {
            "actions.py": MARKED.format(name="top", value=1) + "def unmarked(): ...\n",
            "actions/__init__.py": "",
            "actions/one.py": "from .helper import VALUE\n" + MARKED.format(name="one", value="VALUE"),
            "actions/helper.py": "VALUE = 5\n",
            "actions/deep/two.py": "from ..helper import VALUE\n"
            + MARKED.format(name="two", value="VALUE + 1"),
        },
    )
    discover_actions(config, registry)
    assert registry.names() == ["one", "top", "two"]
    assert [(await run(runner, registry, name, {})).value for name in ("top", "one", "two")] == [1, 5, 6]


def test_two_configurations_do_not_meet(tmp_path: Path) -> None:
    values = []
    for name in ("a", "b"):
        registry = ActionRegistry()
        discover_actions(
            folder(tmp_path / name, {"actions.py": f"NAME = {name!r}\n" + MARKED.format(name="f", value=1)}),
            registry,
        )
        values.append(registry.require("f").target.__globals__["NAME"])
    assert values == ["a", "b"]


def test_imported_folders_come_first(tmp_path: Path, registry: ActionRegistry) -> None:
    folder(tmp_path / "base", {"actions.py": MARKED.format(name="f", value=1)})
    config = folder(
        tmp_path / "own",
        {"config.yml": "import_paths: [../base]", "actions.py": MARKED.format(name="f", value=2)},
    )
    assert [path.resolve().name for path in code_folders(config)] == ["base", "own"]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("def broken(:\n  pass\n", "actions.py:1:12: SyntaxError"),
        ("x = 1\nraise KeyError('z')\n", "actions.py:2: KeyError"),
        ("\nimport no_such_module_anywhere\n", "actions.py:2: ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", "actions.py:2: RuntimeError: sys.exit(3) was called"),
    ],
)
def test_a_file_that_fails_is_named_with_its_line(
    tmp_path: Path, registry: ActionRegistry, text: str, place: str
) -> None:
    config = folder(tmp_path, {"actions.py": text})
    with pytest.raises(ConfigCodeError) as caught:
        discover_actions(config, registry)
    assert place in str(caught.value)


def test_config_py_is_run_with_the_application(tmp_path: Path) -> None:
    config = folder(tmp_path, {"config.py": "def init(app):\n    app.append('started')\n"})
    app: list[str] = []
    for module in load_config_modules(code_folders(config)):
        module.initialise(app)
    assert app == ["started"]


def test_an_init_that_raises_is_named(tmp_path: Path) -> None:
    config = folder(tmp_path, {"config.py": "def init(app):\n    raise KeyError('nope')\n"})
    (module,) = load_config_modules(code_folders(config))
    with pytest.raises(RuntimeError, match=r"config\.py:2: init\(\) failed: KeyError"):
        module.initialise(None)


# --- the actions server --------------------------------------------------------------------------------------------


async def test_an_action_on_a_server() -> None:
    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        if body["action_name"] == "bad":
            return web.json_response({"status": "failed", "result": None})
        return web.json_response({"status": "success", "result": body["action_parameters"]})

    async with serving(answer, "/v1/actions/run", "POST") as url:
        server = ActionsServer(f"{url}/")
        assert await server.run("echo", {"p": Point(1, ())}) == {"p": {"x": 1, "tags": []}}
        with pytest.raises(ActionServerError, match="'bad' failed"):
            await server.run("bad", {})
        await server.close()


async def test_a_server_that_is_down() -> None:
    server = ActionsServer("http://127.0.0.1:9")
    with pytest.raises(ActionServerError, match="cannot be reached"):
        await server.run("echo", {})
    await server.close()
