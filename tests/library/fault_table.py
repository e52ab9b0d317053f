"""The fault table as data: every built-in rail, what may go wrong with it, and what then becomes of the text.

`scripts/build_fault_table.py` prints it into `docs/fault-table.md`; `test_fault_table.py` runs each row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

DIALECTS = ("1.0", "2.x")
EXCEPTION, TIMEOUT, STATUS, GARBAGE, SLOW = FAULTS = (
    "exception",
    "timeout",
    "HTTP 500",
    "garbage verdict",
    "slow stream",
)
MEANINGS = {
    EXCEPTION: "the rail's action raises; where it asks a server, the connection breaks",
    TIMEOUT: "no answer within `timeout_s`",
    STATUS: "the server that is asked answers with status 500",
    GARBAGE: "an answer that is no verdict",
    SLOW: "an answer that has begun and comes in byte by byte, past `timeout_s`",
}
POLICIES = {"block": "closed", "allow": "open"}
ASKS_NOBODY = "asks no server"


@dataclass(frozen=True)
class Rail:
    """One row. `asks` is `model`, `endpoint` or nothing; `kind` is the type of the model that it asks."""

    name: str
    flow: str
    direction: str
    action: str
    exception: str = ""
    asks: str = ""
    kind: str = "guard"
    prompt: str = ""
    parser: str = ""
    config: str = "{}"
    context: dict[str, Any] = field(default_factory=dict)

    def missing(self, fault: str) -> str:
        """Why the fault cannot happen to this rail; empty where it can."""
        return ASKS_NOBODY if fault in {STATUS, SLOW} and not self.asks else ""


def _model_rails() -> Iterator[Rail]:
    for side in ("input", "output"):
        check = f"self_check_{side}"
        yield Rail(f"self check {side}", f"self check {side}", side, check,
                   f"{side.capitalize()}RailException", "model", check, check)  # fmt: skip
    yield Rail("self check facts", "self check facts", "output", "self_check_facts", "FactCheckRailException",
               "model", "self_check_facts", "self_check_facts", context={"check_facts": True})  # fmt: skip
    yield Rail("self check hallucination", "self check hallucination", "output", "self_check_hallucination",
               "SelfCheckHallucinationRailException", "model", "self_check_hallucination",
               "self_check_hallucination", context={"check_hallucination": True})  # fmt: skip
    formats = {
        "NemoGuard": ("nemoguard_parse_prompt_safety", "nemoguard_parse_response_safety"),
        "Nemotron": (
            "nemotron_content_safety_parse_prompt_safety",
            "nemotron_content_safety_parse_response_safety",
        ),
        "Nemotron with reasoning": (
            "nemotron_reasoning_parse_prompt_safety",
            "nemotron_reasoning_parse_response_safety",
        ),
        "Llama Guard": ("is_content_safe", "is_content_safe"),
    }
    for name, parsers in formats.items():
        for side, parser in zip(("input", "output"), parsers, strict=True):
            flow = f"content safety check {side} $model=guard"
            event = f"ContentSafetyCheck{'Input' if side == 'input' else 'Ouput'}Exception"
            yield Rail(f"content safety check {side} ({name})", flow, side, f"content_safety_check_{side}",
                       event, "model", "guard", f"content_safety_check_{side} $model=guard", parser)  # fmt: skip
    yield Rail("topic safety check input", "topic safety check input $model=guard", "input",
               "topic_safety_check_input", "TopicSafetyCheckInputException", "model", "guard",
               "topic_safety_check_input $model=guard")  # fmt: skip
    for side in ("input", "output"):
        check = f"llama_guard_check_{side}"
        yield Rail(f"llama guard check {side}", f"llama guard check {side}", side, check,
                   f"LlamaGuard{side.capitalize()}RailException", "model", "llama_guard", check)  # fmt: skip


def _endpoint_rails() -> Iterator[Rail]:
    for name in ("heuristics", "model"):
        yield Rail(f"jailbreak detection {name}", f"jailbreak detection {name}", "input",
                   f"jailbreak_detection_{name}", "JailbreakDetectionRailException", "endpoint",
                   config="{jailbreak_detection: {server_endpoint: ENDPOINT}}")  # fmt: skip


def _own_rails() -> Iterator[Rail]:
    for side in ("input", "output", "retrieval"):
        yield Rail(f"regex check {side}", f"regex check {side}", side, "detect_regex_pattern")
    for side in ("input", "retrieval"):
        yield Rail(f"context bloat detection on {side}", f"context bloat detection on {side}", side,
                   "context_bloat_detection")  # fmt: skip
    for side in ("input", "output", "retrieval"):
        for verb in ("detect", "mask"):
            flow = f"{verb} sensitive data on {side}"
            yield Rail(flow, flow, side, f"{verb}_sensitive_data")
    yield Rail("injection detection", "injection detection", "output", "injection_detection",
               "InjectionDetectionRailException")  # fmt: skip
    yield Rail("tool call validation", "tool call validation", "tool_output", "tool_call_validation",
               "ToolOutputRailException")  # fmt: skip
    yield Rail("tool result validation", "tool result validation", "tool_input", "tool_result_validation",
               "ToolInputRailException")  # fmt: skip


RAILS = (*_model_rails(), *_endpoint_rails(), *_own_rails())


@dataclass(frozen=True)
class Row:
    """One thing that happens to one rail under one policy, in one dialect."""

    rail: Rail
    fault: str
    on_error: str
    dialect: str

    @property
    def id(self) -> str:
        return f"{self.rail.name}, {self.fault}, {POLICIES[self.on_error]}, {self.dialect}"


ROWS = tuple(
    Row(rail, fault, on_error, dialect)
    for rail in RAILS
    for fault in FAULTS
    if not rail.missing(fault)
    for on_error in POLICIES
    for dialect in DIALECTS
)


# --- the configuration of a row ------------------------------------------------------------------------------------

ANSWER = "the answer is blue"
CHUNKS = "the moon is grey"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}

_RETRIEVAL_1 = """
define flow run dialog rails
  event UserMessage(text="...")
  bot tell

define bot tell
  "known: {{ relevant_chunks }}"
"""
_TALK_2 = """
import core
import nemoguardrails.library

flow main
  activate talk
  activate go on
  match NeverHappens()

flow talk
  global $user_message
  global $relevant_chunks
  user said something
  CALL
  SAY

flow go on
  match UserToolMessages() as $event
  $answer = await PassthroughLLMAction(user_message="go on", tool_messages=$event.tool_messages)
  bot say $answer
"""
_ASK = "$answer = await PassthroughLLMAction(user_message=$user_message)\n  bot say $answer"
_TELL = 'bot say "known: {$relevant_chunks}"'


def colang_of(row: Row) -> str:
    """The flows that stand around the rail."""
    rail = row.rail
    if row.dialect == "1.0":
        return _RETRIEVAL_1 if rail.direction == "retrieval" else ""
    if rail.direction == "retrieval":
        return _TALK_2.replace("CALL", f"await {rail.flow}").replace("SAY", _TELL)
    return _TALK_2.replace("CALL", "pass").replace("SAY", _ASK)


def yaml_of(row: Row, url: str, extra: str = "") -> str:
    """The configuration, with its main model in order and the rail's server at fault."""
    rail = row.rail
    timeout_s = 0.08 if row.fault in {TIMEOUT, SLOW} else 5
    policy = f"on_error: {row.on_error}, timeout_s: {timeout_s}"
    listed = row.dialect == "1.0" or rail.direction != "retrieval"
    guarded = (
        f"{rail.direction}: {{flows: ['{rail.flow}'], {policy}}}"
        if listed
        else f"policies: {{{rail.flow}: {{{policy}}}}}"
    )
    broken = f"{url}/{row.fault.replace(' ', '_')}"
    main = "tools" if rail.direction == "tool_output" else "fine"
    parser = f", output_parser: {rail.parser}" if rail.parser else ""
    prompts = f"prompts: [{{task: '{rail.prompt}', content: 'judge'{parser}}}]" if rail.prompt else ""
    guard = (
        f"- {{type: {rail.kind}, engine: openai, model: g, parameters: {_at(broken)}}}"
        if rail.asks == "model"
        else ""
    )
    return f"""
colang_version: "{row.dialect}"
models:
  - {{type: main, engine: openai, model: m, parameters: {_at(f"{url}/{main}")}}}
  {guard}
{prompts}
rails:
  {guarded}
  config: {rail.config.replace("ENDPOINT", json.dumps(f"{broken}/check"))}
{extra}
"""


def _at(url: str) -> str:
    return f"{{base_url: '{url}/v1', api_key: k, max_retries: 0}}"


def messages_of(row: Row) -> list[dict[str, Any]]:
    """A conversation in which the rail has something to judge."""
    rail = row.rail
    known = {**rail.context, **({"relevant_chunks": CHUNKS} if rail.direction == "retrieval" else {})}
    context = [{"role": "context", "content": known}] if known else []
    asked = [{"role": "user", "content": "what colour is it"}]
    if rail.direction != "tool_input":
        return [*context, *asked]
    called = {"role": "assistant", "content": "", "tool_calls": [CALL]}
    return [*asked, called, {"role": "tool", "name": "look", "tool_call_id": "c1", "content": "grey"}]
