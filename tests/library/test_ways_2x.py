"""The built-in rails under Colang 2.x by each way to them: one module, the whole library, or a list in `config.yml`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from rails_engine import LLMRails
from rails_engine.config import RailsConfig
from rails_engine.llm import LLMRequest, ScriptedLLM, register_provider
from tests.library.fronts import REFUSAL, UNKNOWN, said

BLOATED = "Your message appears oversized or padded with repetitive content. Please send a shorter message focused on your question."
GOOD, BAD = "tell me a fine thing", "tell me a bad thing"
LONG = f"bad {' word' * 40}"
PATTERNS = "regex_detection: {input: {patterns: [bad]}, output: {patterns: [bad]}}"
BLOAT = "context_bloat_detection: {max_chars: 100, min_chars: 40, action: reject}"


@dataclass(frozen=True)
class Rail:
    """A rail and how its model says yes and no to a text with the word `bad` in it."""

    module: str
    flow: str
    task: str = ""
    blocks: str = ""
    passes: str = ""
    parser: str = ""
    exception: str = ""
    config: str = ""
    switch: str = "other"
    refusal: str = REFUSAL
    bad: str = BAD

    @property
    def direction(self) -> str:
        return "output" if re.search("output|facts|hallucination", self.flow) else "input"


def nemoguard(user: str, bot: str) -> str:
    return json.dumps({"User Safety": user, "Response Safety": bot, "Safety Categories": "Violence"})


def content_safety(side: str, parser: str, blocks: str, passes: str) -> Rail:
    flow = f"content safety check {side} $model=guard"
    exception = f"ContentSafetyCheck{'Input' if side == 'input' else 'Ouput'}Exception"
    return Rail(
        "content_safety", flow, f"content_safety_check_{side} $model=guard", blocks, passes, parser, exception
    )


RAILS = {
    "self check input": Rail("self_check.input_check", "self check input", "self_check_input", "Yes", "No", exception="InputRailException"),
    "self check output": Rail("self_check.output_check", "self check output", "self_check_output", "Yes", "No", exception="OutputRailException"),
    "self check facts": Rail("self_check.facts", "self check facts", "self_check_facts", "No", "Yes", exception="FactCheckRailException", switch="check_facts"),
    "self check hallucination": Rail("hallucination", "self check hallucination", "self_check_hallucination", "No", "Yes", exception="SelfCheckHallucinationRailException", switch="check_hallucination", refusal=UNKNOWN),
    "NemoGuard input": content_safety("input", "nemoguard_parse_prompt_safety", nemoguard("unsafe", "safe"), nemoguard("safe", "safe")),
    "NemoGuard output": content_safety("output", "nemoguard_parse_response_safety", nemoguard("safe", "unsafe"), nemoguard("safe", "safe")),
    "Nemotron input": content_safety("input", "nemotron_content_safety_parse_prompt_safety", "User Safety: unsafe\nSafety Categories: Violence", "User Safety: safe"),
    "Nemotron output": content_safety("output", "nemotron_content_safety_parse_response_safety", "User Safety: safe\nResponse Safety: unsafe", "User Safety: safe\nResponse Safety: safe"),
    "words input": content_safety("input", "is_content_safe", "unsafe\nS1", "safe"),
    "words output": content_safety("output", "is_content_safe", "unsafe\nS1", "safe"),
    "topic safety": Rail("topic_safety", "topic safety check input $model=guard", "topic_safety_check_input $model=guard", "off-topic", "on-topic", exception="TopicSafetyCheckInputException"),
    "llama guard input": Rail("llama_guard", "llama guard check input", "llama_guard_check_input", "unsafe\nS1", "safe", exception="LlamaGuardInputRailException"),
    "llama guard output": Rail("llama_guard", "llama guard check output", "llama_guard_check_output", "unsafe\nS1", "safe", exception="LlamaGuardOutputRailException"),
    "regex input": Rail("regex", "regex check input", config=PATTERNS),
    "regex output": Rail("regex", "regex check output", config=PATTERNS),
    "context bloat": Rail("context_bloat_detection", "context bloat detection on input", config=BLOAT, refusal=BLOATED, bad=LONG),
}  # fmt: skip
WAYS = ("module", "library", "list", "list at once")
SUBJECTS = {"self_check_facts": "response", "self_check_hallucination": "statement"}
TALK = """
flow main
  activate talk
  match NeverHappens()

flow talk
  global $SWITCH
  $SWITCH = True
  user said something as $said
  $answer = await PassthroughLLMAction(user_message=$said.transcript)
  bot say $answer
"""
PASSING = """
flow other rail
  $seen = True
"""


@dataclass
class Models:
    """Answers as the main model and as whoever judges; a judge may be down."""

    rail: Rail
    down: bool = False
    judged: list[str] = field(default_factory=list)

    def answer(self, request: LLMRequest) -> Any:
        text = request.prompt or "\n".join(str(message.content) for message in request.messages)
        if "JUDGE" not in text:
            return "a bad answer" if "bad" in text else "a fine answer"
        self.judged.append(text)
        if self.down:
            return ConnectionError("down")
        return self.rail.blocks if "bad" in text else self.rail.passes


def opened(rail: Rail, way: str, extra: str = "", *, down: bool = False) -> LLMRails:
    models = Models(rail, down)
    register_provider("scripted_way", lambda **_: ScriptedLLM(models.answer))
    config = RailsConfig.from_content(source_of(rail, way), yaml_of(rail, way) + extra)
    return LLMRails(config)


def source_of(rail: Rail, way: str) -> str:
    talk = "import core\nimport llm\n" + TALK.replace("SWITCH", rail.switch)
    if way.startswith("list"):
        return talk + PASSING
    module = f".{rail.module}" if way == "module" else ""
    call = re.sub(r"\$model=(\w+)", r'$model="\1"', rail.flow)
    hook = "input rails $input_text" if rail.direction == "input" else "output rails $output_text"
    return f"import guardrails\nimport nemoguardrails.library{module}\n{talk}\nflow {hook}\n  {call}\n"


def yaml_of(rail: Rail, way: str) -> str:
    subject = SUBJECTS.get(rail.task, "bot_response" if rail.direction == "output" else "user_input")
    parser = f", output_parser: {rail.parser}" if rail.parser else ""
    prompts = (
        f"prompts: [{{task: '{rail.task}', content: 'JUDGE {{{{ {subject} }}}}'{parser}}}]"
        if rail.task
        else ""
    )
    flows = json.dumps([rail.flow, *(["other rail"] if way == "list at once" else [])])
    listed = (
        f"flows: {flows}, parallel: {json.dumps(way == 'list at once')}, " if way.startswith("list") else ""
    )
    streaming = "streaming: {enabled: true}" if rail.direction == "output" else ""
    return f"""
colang_version: "2.x"
models:
  - {{type: main, engine: scripted_way, model: m}}
  - {{type: guard, engine: scripted_way, model: g}}
  - {{type: llama_guard, engine: scripted_way, model: l}}
rails:
  config: {{{rail.config}}}
  {rail.direction}: {{{listed}{streaming}}}
{prompts}
"""


async def heard(app: LLMRails, text: str) -> str:
    pieces = app.stream_async(messages=[{"role": "user", "content": text}])
    return "".join([str(piece) async for piece in pieces])


by_rail = pytest.mark.parametrize("rail", RAILS.values(), ids=RAILS)
by_way = pytest.mark.parametrize("way", WAYS)


@by_rail
@by_way
async def test_it_lets_pass_what_it_should_and_nothing_else(rail: Rail, way: str) -> None:
    app = opened(rail, way)
    assert await said(app, GOOD) == "a fine answer"
    assert await said(app, rail.bad) == rail.refusal


@by_rail
@by_way
async def test_a_stream_holds_what_it_refuses(rail: Rail, way: str) -> None:
    app = opened(rail, way)
    assert await heard(app, GOOD) == "a fine answer"
    stream = await heard(app, rail.bad)
    if rail.direction == "input":
        assert stream == rail.refusal
    else:
        error = json.loads(stream)["error"]
        assert (error["type"], error["param"]) == ("guardrails_violation", rail.flow.partition(" $")[0])


@pytest.mark.parametrize(
    "rail", [rail for rail in RAILS.values() if rail.exception], ids=lambda rail: rail.flow
)
@by_way
async def test_it_raises_its_exception_where_that_is_wanted(rail: Rail, way: str) -> None:
    app = opened(rail, way, "enable_rails_exceptions: true\n")
    reply: Any = await app.generate_async(messages=[{"role": "user", "content": rail.bad}])
    assert (reply["content"], reply["events"][0]["type"]) == ("", rail.exception)
    stream = json.loads(await heard(app, rail.bad))
    assert stream["error"]["type"] == "guardrails_violation"


@pytest.mark.parametrize("rail", [rail for rail in RAILS.values() if rail.task], ids=lambda rail: rail.flow)
@by_way
async def test_it_blocks_where_its_model_is_down(rail: Rail, way: str) -> None:
    app = opened(rail, way, down=True)
    assert await said(app, GOOD) == rail.refusal
    assert "fine answer" not in await heard(app, GOOD)


@by_way
async def test_a_warning_comes_before_the_answer_it_is_about(way: str) -> None:
    rail = Rail(
        "hallucination",
        "hallucination warning",
        "self_check_hallucination",
        "No",
        "Yes",
        switch="hallucination_warning",
    )
    warned = "Please check this answer against another source; it may not be accurate.\na bad answer"
    app = opened(rail, way)
    assert [await said(app, GOOD), await said(app, BAD)] == ["a fine answer", warned]
    assert [await heard(app, GOOD), await heard(app, BAD)] == ["a fine answer", warned]
