"""The built-in rails under Colang 2.x, from the user's message to the answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import colang
from colang import ImportPath, Source
from rails_engine import LLMRails
from rails_engine.config import ConfigProblemsError, RailsConfig
from rails_engine.errors import InvalidRailsConfigurationError
from rails_engine.library import COLANG_1, COLANG_2, IMPORT_NAME
from rails_engine.llm import LLMRequest, ScriptedLLM, register_provider

REFUSAL = "I'm sorry, I can't respond to that."
MODULES = sorted(
    ".".join((IMPORT_NAME, *file.relative_to(COLANG_2).with_suffix("").parts))
    for file in COLANG_2.rglob("*.co")
)
TALK = """
flow main
  activate talk
  match NeverHappens()

flow talk
  user said something
  bot say "welcome"
"""


def flow_names(folder: Path, pattern: str) -> set[str]:
    return {
        name for file in folder.rglob("*.co") for name in re.findall(pattern, file.read_text(), re.MULTILINE)
    }


@pytest.mark.parametrize("module", [IMPORT_NAME, *MODULES])
def test_each_module_loads_and_so_do_all_together(module: str) -> None:
    source = Source("main.co", f"import {module}\n{TALK}".replace("import", "import core\nimport", 1))
    assert "main" in colang.load([source], path=ImportPath(packages={IMPORT_NAME: COLANG_2})).flows


def test_both_dialects_have_the_same_rails() -> None:
    one = flow_names(COLANG_1, r"^define (?:sub)?flow (.+)$")
    two = {
        name for name in flow_names(COLANG_2, r"^flow ([^$\n]+?)(?: \$.*)?$") if not name.startswith("bot ")
    }
    assert one == two


def answering(rules: dict[str, Any]) -> ScriptedLLM:
    def answer(request: LLMRequest) -> Any:
        text = request.prompt or "\n".join(str(message.content) for message in request.messages)
        return next((reply for pattern, reply in rules.items() if re.search(pattern, text)), "fine")

    return ScriptedLLM(answer)


def rails(rail: str, module: str, rules: dict[str, Any], extra: str = "", talk: str = TALK) -> LLMRails:
    script = answering(rules)
    register_provider("scripted_rail", lambda **_: script)
    direction, _, call = rail.partition(": ")
    source = f"import core\nimport guardrails\nimport {module}\n{talk}\nflow {direction}\n  {call}\n"
    yaml = f"""
colang_version: "2.x"
models:
  - {{type: main, engine: scripted_rail, model: m}}
  - {{type: guard, engine: scripted_rail, model: g}}
  - {{type: llama_guard, engine: scripted_rail, model: l}}
prompts:
  - {{task: self_check_input, content: "IN {{{{ user_input }}}}"}}
  - {{task: self_check_output, content: "OUT {{{{ user_input }}}}"}}
  - {{task: content_safety_check_input $model=guard, content: "CS {{{{ user_input }}}}", output_parser: is_content_safe}}
  - {{task: topic_safety_check_input $model=guard, content: "TOPICS"}}
  - {{task: llama_guard_check_input, content: "LG {{{{ user_input }}}}"}}
{extra}
"""
    return LLMRails(RailsConfig.from_content(source, yaml))


async def said(app: LLMRails, *texts: str) -> list[str]:
    """What the bot says to each text, in one conversation."""
    state: Any = None
    answers: list[str] = []
    for text in texts:
        events = [{"type": "UtteranceUserActionFinished", "final_transcript": text}]
        spoken: list[dict[str, Any]] = []
        while events:
            output, state = await app.process_events_async(events, state)
            new = [event for event in output if event["type"] == "StartUtteranceBotAction"]
            spoken += new
            events = [event for start in new for event in _performed(start)]
        answers.append(" ".join(start["script"] for start in spoken))
    return answers


def _performed(start: dict[str, Any]) -> list[dict[str, Any]]:
    """What a client reports that has said the text of `start`."""
    told = {"action_uid": start["action_uid"]}
    return [
        {"type": "UtteranceBotActionStarted", **told},
        {"type": "UtteranceBotActionFinished", **told, "final_script": start["script"], "is_success": True},
    ]


INPUT = "input rails $input_text: "
OUTPUT = "output rails $output_text: "
CASES = [
    (INPUT + "self check input", "self_check.input_check", {"IN bad": "Yes", "IN": "No"}),
    (OUTPUT + "self check output", "self_check.output_check", {"OUT bad": "Yes", "OUT": "No"}),
    (INPUT + 'content safety check input $model="guard"', "content_safety", {"CS bad": "unsafe S1", "CS": "safe"}),
    (INPUT + 'topic safety check input $model="guard"', "topic_safety", {"TOPICS[\\s\\S]*bad": "off-topic", "TOPICS": "on-topic"}),
    (INPUT + "llama guard check input", "llama_guard", {"LG bad": "unsafe\nS1", "LG": "safe"}),
    (INPUT + "regex check input", "regex", {}),
]  # fmt: skip
PATTERNS = "rails: {config: {regex_detection: {input: {patterns: [bad]}}}}"


@pytest.mark.parametrize(("rail", "module", "rules"), CASES)
async def test_a_rail_blocks_what_it_should_and_nothing_else(
    rail: str, module: str, rules: dict[str, Any]
) -> None:
    app = rails(rail, f"{IMPORT_NAME}.{module}", rules, PATTERNS)
    assert await said(app, "good", "bad", "good") == ["welcome", REFUSAL, "welcome"]


@pytest.mark.parametrize(("rail", "module", "rules"), CASES[:5])
@pytest.mark.parametrize("failure", [RuntimeError("down"), "?!"])
async def test_a_rail_that_cannot_judge_blocks(
    rail: str, module: str, rules: dict[str, Any], failure: Any
) -> None:
    app = rails(rail, f"{IMPORT_NAME}.{module}", dict.fromkeys(rules, failure), PATTERNS)
    assert await said(app, "good") == [REFUSAL]


async def test_exceptions_in_place_of_words() -> None:
    rail, module, rules = CASES[0]
    app = rails(rail, f"{IMPORT_NAME}.{module}", rules, "enable_rails_exceptions: true")
    events = [{"type": "UtteranceUserActionFinished", "final_transcript": "bad"}]
    output, _ = await app.process_events_async(events, None)
    found = [(event["type"], event.get("message")) for event in output]
    assert found == [
        ("InputRailException", "Input not allowed. The input was blocked by the 'self check input' flow.")
    ]


async def test_flows_hear_what_an_input_rail_rewrote() -> None:
    extra = "rails: {config: {context_bloat_detection: {max_chars: 5, min_chars: 99, action: truncate}}}"
    echo = TALK.replace("user said something", "global $user_message\n  user said something")
    module = f"{IMPORT_NAME}.context_bloat_detection"
    rail = INPUT + "context bloat detection on input"
    app = rails(rail, module, {}, extra, echo.replace("welcome", "heard {$user_message}"))
    assert await said(app, "short text") == ["heard short"]


# --- rails listed in config.yml ------------------------------------------------------------------------------------


def listed(flows: str, source: str = "import core\n" + TALK) -> LLMRails:
    script = answering({"IN bad": "Yes", "IN": "No"})
    register_provider("scripted_rail", lambda **_: script)
    yaml = f"""
colang_version: "2.x"
models: [{{type: main, engine: scripted_rail, model: m}}]
prompts: [{{task: self_check_input, content: "IN {{{{ user_input }}}}"}}]
rails: {flows}
"""
    return LLMRails(RailsConfig.from_content(source, yaml))


async def test_listed_rails_run_and_are_imported() -> None:
    app = listed("{input: {flows: [self check input]}}")
    assert await said(app, "good", "bad", "good") == ["welcome", REFUSAL, "welcome"]


async def test_own_flows_may_be_listed() -> None:
    source = f"import core\n{TALK}\nflow my rail $word\n  global $user_message\n  if $word in $user_message\n    abort\n"
    app = listed("{input: {flows: ['my rail $word=bad']}}", source)
    assert await said(app, "good", "bad") == ["welcome", ""]


def test_a_listed_rail_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        InvalidRailsConfigurationError, match="The provided input rail flow `nope` does not exist"
    ):
        listed("{input: {flows: [nope]}}")


def test_two_ways_at_once_are_refused() -> None:
    source = f"import core\nimport guardrails\n{TALK}\nflow input rails $input_text\n  pass\n"
    with pytest.raises(InvalidRailsConfigurationError, match="keep one of them"):
        listed("{input: {flows: [self check input]}}", source)


REWRITING = """
import core
import guardrails
import llm

flow main
  activate llm continuation
  activate echo
  match NeverHappens()

flow echo
  user said (regex("^my")) as $said
  bot say "heard {$said.transcript}"

flow input rails $input_text
  global $user_message
  $user_message = $input_text.replace("secret", "xxx")
"""


async def test_what_an_input_rail_rewrote_is_all_that_flows_and_models_see() -> None:
    asked: list[str] = []

    def answer(request: LLMRequest) -> str:
        asked.append(str(request))
        return "user asked something"

    register_provider("scripted_rewriting", lambda **_: ScriptedLLM(answer))
    yaml = 'colang_version: "2.x"\nmodels: [{type: main, engine: scripted_rewriting, model: m}]\n'
    app = LLMRails(RailsConfig.from_content(REWRITING, yaml))
    first = await app.generate_async(messages=[{"role": "user", "content": "my secret"}])
    assert first == {"role": "assistant", "content": "heard my xxx"}
    await app.generate_async(messages=[{"role": "user", "content": "the other secret"}])
    assert asked
    assert "the other xxx" in asked[-1]
    assert "my secret" not in "".join(asked)
    assert "other secret" not in "".join(asked)


def test_a_rail_called_with_a_model_that_is_not_there_is_refused_with_its_place() -> None:
    colang_content = """
import core
import guardrails
import nemoguardrails.library.content_safety

flow main
  match Never()

flow input rails $input_text
  # content safety check input $model="of a comment"
  content safety check input $model="saftey"
"""
    config = RailsConfig.from_content(
        colang_content,
        'colang_version: "2.x"\nmodels: [{type: safety, engine: openai, model: m, parameters: {api_key: k}}]\n',
    )
    with pytest.raises(ConfigProblemsError, match=r"main\.co:11:38: .*`saftey`.*did you mean `safety`\?"):
        LLMRails(config)


# --- what the log tells ---------------------------------------------------------------------------------------------

TOLD = """
rails:
  config: {regex_detection: {output: {patterns: [secret]}}}
  input: {flows: [self check input, mine], parallel: AT_ONCE}
  output: {flows: [regex check output]}
"""
ANSWERING = """
import llm
flow main
  activate talk
  match NeverHappens()
flow talk
  user said something as $said
  $answer = await PassthroughLLMAction(user_message=$said.transcript)
  bot say $answer
flow mine
  $seen = True
"""


@pytest.mark.parametrize("at_once", ["false", "true"])
async def test_the_log_has_each_rail_with_its_actions_and_how_it_ended(at_once: str) -> None:
    script = answering({"IN bad": "Yes", "IN": "No", "tell": "a secret"})
    register_provider("scripted_rail", lambda **_: script)
    yaml = f"""
colang_version: "2.x"
models: [{{type: main, engine: scripted_rail, model: m}}]
prompts: [{{task: self_check_input, content: "IN {{{{ user_input }}}}"}}]
{TOLD.replace("AT_ONCE", at_once)}
"""
    app = LLMRails(RailsConfig.from_content(f"import core\n{ANSWERING}", yaml))
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for text in ("hi", "tell", "bad"):
        result = await app.generate_async(
            messages=[{"role": "user", "content": text}], options={"log": {"activated_rails": True}}
        )
        found[text] = [(rail.type, rail.name, rail.stop) for rail in result.log.activated_rails]
        assert result.log.stats.input_rails_duration > 0
    passed, asked = ("input", "self check input", False), ("dialog", "main", False)
    regex = ("output", "regex check output")
    assert found["hi"] == [passed, asked, (*regex, False)]
    assert found["tell"] == [passed, asked, (*regex, True)]
    assert found["bad"][0] == ("input", "self check input", True)
    assert asked not in found["bad"]
