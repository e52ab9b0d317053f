"""Ways by which a word of a user, a document or a model might come past the rails of Colang 1.0, and do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemoguardrails import LLMRails, RailsConfig
from nemoguardrails.testing import FakeLLMModel

GATES = """
define bot refuse
  "refused"
define subflow gate out
  $ok = execute look(text=$bot_message)
  if not $ok
    bot refuse
    stop
define user ask
  "a question"
"""
OUT = "rails: {output: {flows: [gate out]}}\n"


class Looking:
    """Refuses what contains `bad`, and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.ran: list[str] = []

    async def look(self, text: Any) -> bool:
        self.seen.append(str(text))
        return "bad" not in str(text)

    async def fetch(self) -> str:
        self.ran.append("fetch")
        return "a bad thing"


async def said(
    colang: str, *answers: str, yaml: str = OUT, asked: str = "x", gates: str = GATES
) -> tuple[str, Looking]:
    """The reply, and what the rail saw of it."""
    rails = LLMRails(
        RailsConfig.from_content(gates + colang, "models: []\n" + yaml), llm=FakeLLMModel([*answers])
    )
    looking = Looking()
    rails.register_action(looking.look)
    rails.register_action(looking.fetch)
    reply = await rails.generate_async(messages=[{"role": "user", "content": asked}])
    assert isinstance(reply, dict)
    return str(reply["content"]), looking


@pytest.mark.parametrize(
    ("flow", "message", "answers"),
    [
        ("$thing = execute fetch\n  bot tell", "Here it is: $thing", ["ask"]),
        ("# what it is\n  $thing = ...\n  bot tell", "Here it is: {{ thing }}", ["ask", '"something bad"']),
        ("bot tell", "You asked: $last_user_message", ["ask"]),
    ],
    ids=["an action's", "a model's", "a user's"],
)
async def test_somebody_elses_word_in_a_predefined_message_is_judged(
    flow: str, message: str, answers: list[str]
) -> None:
    colang = f'define bot tell\n  "{message}"\ndefine flow\n  user ask\n  {flow}\n'
    reply, looking = await said(colang, *answers, asked="so bad")
    assert reply == "refused"
    assert len(looking.seen) == 1


@pytest.mark.parametrize(
    "rail", ["$ok = execute look(text=$bot_message)", '$bot_message = $bot_message + "!"']
)
async def test_a_flow_goes_on_behind_a_message_that_was_judged(rail: str) -> None:
    gates = 'define user ask\n  "a question"\ndefine subflow gate out\n  ' + rail + "\n"
    colang = """
define bot greet
  "Hi $name"
define bot go on
  "How are you?"
define flow
  user ask
  $name = "Ann"
  bot greet
  bot go on
  bot greet
"""
    reply, looking = await said(colang, "ask", gates=gates)
    mark = "" if looking.seen else "!"
    assert reply.split("\n") == [f"Hi Ann{mark}", "How are you?", f"Hi Ann{mark}"]
    assert looking.seen in ([], ["Hi Ann", "Hi Ann"])


async def test_a_predefined_message_as_its_author_wrote_it_is_not_judged() -> None:
    reply, looking = await said('define bot tell\n  "not bad"\ndefine flow\n  user ask\n  bot tell\n', "ask")
    assert (reply, looking.seen) == ("not bad", [])


async def test_what_a_rail_says_is_not_judged_whatever_it_fills_in() -> None:
    refusing = GATES.replace('"refused"', '"I do not say: $bot_message"')
    reply, looking = await said("define flow\n  user ask\n  bot tell\n", "ask", "so bad", gates=refusing)
    assert (reply, looking.seen) == ("I do not say: so bad", ["so bad"])


@pytest.mark.parametrize(
    "written",
    [
        'create event StartUtteranceBotAction(script="bad")',
        'create event BotMessage(text="fine")\nbot tell',
        "do process bot message",
        "do what nobody defined",
        "execute generate_bot_message",
    ],
)
async def test_a_flow_that_a_model_wrote_ends_before_it_does_what_is_the_engines(written: str) -> None:
    colang = 'define bot tell\n  "told"\ndefine flow\n  user leave\n  bot tell\n'
    steps = f"bot tell\n{written}"
    reply, _ = await said(colang, "ask", steps, "bad", yaml=OUT + "enable_multi_step_generation: true\n")
    assert reply == "told"


async def test_a_flow_that_a_model_wrote_may_run_actions_and_speak() -> None:
    colang = 'define bot tell\n  "told"\ndefine flow\n  user leave\n  bot tell\n'
    multi = OUT + "enable_multi_step_generation: true\n"
    reply, looking = await said(colang, "ask", "execute fetch\nbot tell", yaml=multi)
    assert (reply, looking.ran) == ("told", ["fetch"])


RETRIEVAL = {
    "blanked": 'define subflow gate chunks\n  $relevant_chunks = ""\n',
    "refused": "define subflow gate chunks\n  bot refuse\n  stop\n",
    "rewritten": 'define subflow gate chunks\n  $relevant_chunks = $relevant_chunks.replace("bad", "fine")\n',
}


@pytest.mark.parametrize("rail", [*RETRIEVAL, ""])
@pytest.mark.parametrize(
    ("dialog", "answers"),
    [
        ("none", ["so it is"]),
        ("steps", ["ask", "so it is"]),
        ("single", ['ask\nbot tell about it\n  "so it is"']),
    ],
)
async def test_documents_pass_the_retrieval_rails_before_any_model_is_told_of_them(
    tmp_path: Path, rail: str, dialog: str, answers: list[str]
) -> None:
    prompts: list[str] = []

    class Model(FakeLLMModel):
        async def generate_async(self, prompt: Any, **given: Any) -> Any:
            prompts.append(str(prompt))
            return await super().generate_async(prompt, **given)

    flows = (
        'define user ask\n  "tea"\ndefine flow\n  user ask\n  bot tell about it\n' if dialog != "none" else ""
    )
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "tea.md").write_text("# Tea\n\nA bad fact about tea.\n")
    listed = "[gate chunks]" if rail else "[]"
    single = f"dialog: {{single_call: {{enabled: {str(dialog == 'single').lower()}}}}}"
    (tmp_path / "config.yml").write_text(f"models: []\nrails: {{retrieval: {{flows: {listed}}}, {single}}}\n")
    (tmp_path / "flows.co").write_text('define bot refuse\n  "refused"\n' + RETRIEVAL.get(rail, "") + flows)
    rails = LLMRails(RailsConfig.from_path(str(tmp_path)), llm=Model(answers))
    reply = await rails.generate_async(messages=[{"role": "user", "content": "tea"}])
    assert reply["content"] == ("refused" if rail == "refused" else "so it is")
    assert ("A bad fact" in "".join(prompts)) == (rail == "")
    assert ("A fine fact" in "".join(prompts)) == (rail == "rewritten")


@pytest.mark.parametrize(("rail", "kept"), [("blanked", []), ("rewritten", ["A fine fact about tea."])])
async def test_the_parts_of_what_was_found_are_those_that_the_retrieval_rails_left(
    tmp_path: Path, rail: str, kept: list[str]
) -> None:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "tea.md").write_text("# Tea\n\nA bad fact about tea.\n")
    (tmp_path / "config.yml").write_text("models: []\nrails: {retrieval: {flows: [gate chunks]}}\n")
    (tmp_path / "flows.co").write_text(RETRIEVAL[rail])
    rails = LLMRails(RailsConfig.from_path(str(tmp_path)), llm=FakeLLMModel(["so it is"]))
    response = await rails.generate_async("tea?", options={"output_vars": ["relevant_chunks_sep"]})
    assert response.output_data == {"relevant_chunks_sep": kept}
