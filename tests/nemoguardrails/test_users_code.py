"""`LLMRails` as users' code goes about it: derived from, given another model or knowledge base, used from threads."""

from __future__ import annotations

import asyncio
import threading
from functools import wraps
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.actions.rail_outcome import RailOutcome
from nemoguardrails.library.content_safety.actions import content_safety_check_input
from nemoguardrails.library.self_check.input_check.actions import self_check_input
from nemoguardrails.llm.taskmanager import LLMTaskManager
from nemoguardrails.streaming import StreamingHandler
from nemoguardrails.testing import FakeLLMModel
from nemoguardrails.types import LLMResponseChunk

ASKING = 'define user ask\n  "q"\ndefine flow\n  user ask\n  bot answer\n'


def config(colang: str | None = None, **keys: Any) -> RailsConfig:
    return RailsConfig.from_content(colang, config={"models": [], **keys})


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


# --- derived classes -----------------------------------------------------------------------------------------------


class Shouting(LLMRails):
    """Answers in capitals, and counts."""

    def __init__(self, config: RailsConfig, llm: Any = None, verbose: bool = False, times: int = 1) -> None:
        super().__init__(config, llm, verbose)
        self.times = times
        self.calls = 0

    async def generate_async(  # type: ignore[override]
        self, messages: Any = None, prompt: str | None = None, **further: Any
    ) -> Any:
        self.calls += 1
        answer: Any = await super().generate_async(prompt=prompt, messages=messages, **further)
        return answer.upper() * self.times


def test_a_derived_class_answers_its_own_way() -> None:
    rails = Shouting(config(), llm=FakeLLMModel(responses=["hi", "hi"]), times=2)
    assert [rails.generate(prompt="q"), rails.generate("q")] == ["HIHI", "HIHI"]
    assert rails.calls == 2


def test_a_sibling_with_another_model_is_of_the_same_class() -> None:
    rails = Shouting(config(), llm=FakeLLMModel(responses=["hi"]), times=2)
    other = rails.beside(FakeLLMModel(responses=["ho"]))
    assert [other.generate("q"), rails.generate("q")] == ["HOHO", "HIHI"]
    assert type(other) is Shouting


# --- models --------------------------------------------------------------------------------------------------------


def test_setting_the_model_replaces_it_in_the_middle_of_a_conversation() -> None:
    rails = LLMRails(config(), llm=FakeLLMModel(responses=["one"]))
    history: list[Any] = [user("a")]
    history += [rails.generate(messages=history), user("b")]
    two = FakeLLMModel(responses=["two"])
    rails.llm = two
    history.append(rails.generate(messages=history))
    assert [message["content"] for message in history] == ["a", "one", "b", "two"]
    assert rails.llm is two


def test_two_of_one_configuration_share_nothing_else() -> None:
    shared = config(ASKING)
    one = LLMRails(shared, llm=FakeLLMModel(responses=["ask", "one"]))
    two = LLMRails(shared, llm=FakeLLMModel(responses=["ask", "two"]))
    two.register_action_param("kb", Answers("only here"))
    asked = {"output_vars": ["relevant_chunks"]}
    first: Any = one.generate(messages=[user("q")], options=asked)
    second: Any = two.generate(messages=[user("q")], options=asked)
    assert [first.response[-1]["content"], second.response[-1]["content"]] == ["one", "two"]
    assert "only here" not in str(first.output_data)
    assert "only here" in str(second.output_data)


def test_many_threads_ask_one() -> None:
    rails = LLMRails(config(), llm=FakeLLMModel(responses=["hi"] * 20))
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda number=number: answers.append(rails.generate(f"q{number}")))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["hi"] * 20


async def test_a_thread_of_an_event_loop_asks() -> None:
    rails = LLMRails(config(), llm=FakeLLMModel(responses=["hi"]))
    assert await asyncio.to_thread(rails.generate, prompt="q") == "hi"


# --- a knowledge base of one's own ---------------------------------------------------------------------------------


class Answers:
    """A knowledge base that finds one thing."""

    def __init__(self, body: Any) -> None:
        self.body = body

    async def search_relevant_chunks(self, text: str, max_results: int = 3) -> list[Any]:
        if isinstance(self.body, Exception):
            raise self.body
        return [{"title": text, "body": self.body}]


def asking_of(base: Any) -> Any:
    rails = LLMRails(config(ASKING), llm=FakeLLMModel(responses=["ask", "answer"]))
    rails.register_action_param("kb", base)
    assert rails.kb is base
    return rails.generate(messages=[user("q")], options={"output_vars": ["relevant_chunks"]})


def test_a_knowledge_base_of_ones_own_is_searched() -> None:
    assert asking_of(Answers("42")).output_data == {"relevant_chunks": "42"}


def test_a_knowledge_base_that_fails_ends_the_turn() -> None:
    answer = asking_of(Answers(ValueError("boom"))).response[-1]["content"]
    assert "internal error" in answer
    assert "boom" not in answer


async def test_actions_are_handed_it() -> None:
    rails = LLMRails(
        config(
            "define subflow look\n  $x = execute look(text=$user_message)\n  bot $x\n  stop\n",
            rails={"input": {"flows": ["look"]}},
        )
    )

    async def look(text: str, kb: Any) -> str:
        return str((await kb.search_relevant_chunks(text))[0]["body"])

    rails.register_action(look).runtime.register_action_param("kb", Answers("found"))
    assert await rails.generate_async(prompt="q") == "found"


# --- a built-in rail's action, wrapped -----------------------------------------------------------------------------


def test_a_built_in_action_may_be_wrapped() -> None:
    asked: list[str] = []

    @wraps(self_check_input)
    async def counting(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs["context"]["user_message"])
        return await self_check_input(*args, **kwargs)

    prompts = [{"task": "self_check_input", "content": "may {{ user_input }} pass?"}]
    guarded = config(rails={"input": {"flows": ["self check input"]}}, prompts=prompts)
    rails = LLMRails(guarded, llm=FakeLLMModel(responses=["unsafe", "safe", "fine"]))
    rails.register_action(counting, "self_check_input")
    assert rails.generate("bad") == "I'm sorry, I can't respond to that."
    assert rails.generate("hi") == "fine"
    assert asked == ["bad", "hi"]


async def test_built_in_actions_may_be_called_by_hand() -> None:
    prompts = [
        {"task": "self_check_input", "content": "may {{ user_input }} pass?"},
        {"task": "content_safety_check_input $model=guard", "content": "rate {{ user_input }}"},
    ]
    models = [{"type": "guard", "engine": "openai", "model": "g", "parameters": {"api_key": "k"}}]
    tasks = LLMTaskManager(config(models=models, prompts=prompts))
    model = FakeLLMModel(responses=["no", "unsafe: S1", "safe"])
    context = {"user_message": "hi"}
    checked = await self_check_input(llms={}, llm_task_manager=tasks, context=context, events=[], llm=model)
    rated = await content_safety_check_input({"guard": model}, tasks, "guard", context, model_caches=None)
    other = await content_safety_check_input({"guard": model}, tasks, "guard", user_message="ho")
    assert [checked.is_blocked, rated.is_blocked, other.is_blocked] == [False, True, False]
    assert rated.metadata["policy_violations"] == ["S1"]
    assert model.inference_count == 3
    with pytest.raises(TypeError, match="no parameter 'txt'"):
        await self_check_input(llms={}, llm_task_manager=tasks, txt="hi", llm=model)


def test_built_in_rails_leave_the_variables_of_users_flows_alone() -> None:
    guarded = config(
        'define user ask\n  "q"\ndefine flow\n  user ask\n  bot "still $outcome"\n',
        rails={
            "input": {"flows": ["regex check input"]},
            "config": {"regex_detection": {"input": {"patterns": ["bad"]}}},
        },
    )
    known = {"role": "context", "content": {"outcome": "open"}}
    rails = LLMRails(guarded, llm=FakeLLMModel(responses=["  ask"]))
    assert rails.generate(messages=[known, user("hi")])["content"] == "still open"


def test_verdicts_in_logs_and_output_are_what_the_rails_answered() -> None:
    patterns = {"regex_detection": {"input": {"patterns": ["bad"]}}}
    rails = LLMRails(
        config(rails={"input": {"flows": ["regex check input"]}, "config": patterns}),
        llm=FakeLLMModel(responses=["fine", "fine again"]),
    )
    wanted = {"output_vars": ["response"], "log": {"activated_rails": True, "internal_events": True}}
    answer = rails.generate(messages=[user("hi")], options=wanted)
    (looked,) = answer.log.activated_rails[0].executed_actions
    told = [event["return_value"] for event in answer.log.internal_events if event.get("return_value")]
    for verdict in (looked.return_value, answer.output_data["response"], *told):
        assert isinstance(verdict, RailOutcome)
        assert (verdict.is_blocked, verdict.metadata["detections"]) == (False, [])
    assert '"decision":"allow"' in answer.model_dump_json()
    again = [{"role": "context", "content": answer.output_data}, user("hi")]
    assert rails.generate(messages=again)["content"] == "fine again"


# --- handlers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [3, {"text": "x"}, LLMResponseChunk(delta_content="x")])
async def test_a_piece_that_is_no_text_is_refused(piece: Any) -> None:
    with pytest.raises(TypeError, match=type(piece).__name__):
        await StreamingHandler().push_chunk(piece)
