"""The actions of the built-in rails: what each one asks, and what it makes of the answer."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rails_engine.errors import ConfigurationError, LLMServerError
from rails_engine.http import HTTPResponse, RecordingHTTPClient
from rails_engine.library import ACTIONS
from rails_engine.library.actions import EndpointError
from rails_engine.library.actions.recognizers import analyzer_of
from rails_engine.llm import Message
from tests.library.bench import Bench


def test_every_action_is_registered_under_its_name() -> None:
    bench = Bench()
    assert [bench.registry.require(function.__name__).is_system_action for function in ACTIONS] == [
        True
    ] * len(ACTIONS)


# --- self checks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "blocked"),
    [
        ("Yes", True),
        ("no", False),
        ("No.", False),
        ("safe", False),
        ("unsafe", True),
        ("perhaps", True),
        ("", True),
    ],
)
async def test_a_self_check_lets_pass_only_what_is_said_to_be_fine(answer: str, blocked: bool) -> None:
    for name in ("self_check_input", "self_check_output"):
        assert (await Bench(answer).run(name)).is_blocked is blocked


async def test_what_a_self_check_asks() -> None:
    bench = Bench("no", "no", extra="lowest_temperature: 0.2")
    await bench.run("self_check_input", variant="strict")
    await bench.run("self_check_output")
    assert bench.prompts == ["STRICT hello", "OUT hello -> answer"]
    first = bench.script.requests[0]
    assert (first.sampling.temperature, first.sampling.max_tokens, first.task) == (
        0.2, 1024, "self_check_input $variant=strict",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kind", "begun", "given"),
    [
        ("self_check_input", "main", "No", {}),
        ("self_check_facts", "main", "Yes", {}),
        ("content_safety_check_input", "guard", '{"User Safety": "safe"}', {"model_name": "guard"}),
        ("topic_safety_check_input", "guard", "on-topic", {"model_name": "guard"}),
        ("llama_guard_check_input", "llama_guard", "safe", {}),
    ],
)
async def test_a_thought_that_was_cut_off_is_no_verdict(
    name: str, kind: str, begun: str, given: dict[str, str]
) -> None:
    bench = Bench(f"<think>\n{begun}\n", kind=kind)
    with pytest.raises(ValueError, match="ends within the model's thoughts"):
        await bench.run(name, **given)


async def test_a_check_takes_no_text_by_a_name_that_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="has no parameter 'user_mesage'"):
        await Bench("no").run("self_check_input", user_mesage="hello")


async def test_a_model_of_the_tasks_type_serves_it() -> None:
    bench = Bench("no", kind="self_check_input")
    await bench.run("self_check_input")
    assert bench.prompts == ["IN hello"]


@pytest.mark.parametrize(
    ("answer", "accuracy"),
    [("yes", 1.0), ("Yes.", 1.0), ("no", 0.0), ("well", 0.0), ("", 0.0), ("yes no", 0.0)],
)
async def test_facts_must_be_said_to_follow(answer: str, accuracy: float) -> None:
    bench = Bench(answer)
    outcome = await bench.run("self_check_facts", {"relevant_chunks": "the moon"})
    assert bench.prompts == ["E the moon R answer"]
    assert outcome.metadata == {"accuracy": accuracy}
    assert outcome.is_blocked is (accuracy == 0.0)


@pytest.mark.parametrize(("judge", "found"), [("yes", False), ("no", True), ("hm", True)])
async def test_a_hallucination_is_an_answer_that_others_do_not_share(judge: str, found: bool) -> None:
    bench = Bench("A poet.", '"A sailor."', judge)
    outcome = await bench.run("self_check_hallucination", {"_last_bot_prompt": "who is Ann"})
    assert (outcome.is_blocked, outcome.metadata) == (found, {"is_hallucination": found})
    assert bench.prompts == ["who is Ann", "who is Ann", "S answer P A poet.. A sailor."]
    assert [request.sampling.temperature for request in bench.script.requests] == [1.0, 1.0, 0.001]


# --- guard models --------------------------------------------------------------------------------------------------


async def test_content_safety_blocks_with_the_categories_that_the_guard_names() -> None:
    unsafe = json.dumps({"User Safety": "unsafe", "Safety Categories": "Violence, Weapons"})
    bench = Bench(unsafe, '{"User Safety": "safe"}', kind="guard")
    blocked = await bench.run("content_safety_check_input", model_name="guard")
    allowed = await bench.run("content_safety_check_input", {"model": "guard"})
    assert (blocked.is_blocked, blocked.metadata) == (True, {"policy_violations": ["Violence", "Weapons"]})
    assert (allowed.is_blocked, allowed.metadata) == (False, {"policy_violations": []})
    request = bench.script.requests[0]
    assert (request.prompt, request.sampling.max_tokens, request.task) == (
        "CS hello", 50, "content_safety_check_input $model=guard",
    )  # fmt: skip


async def test_content_safety_refuses_in_the_users_language() -> None:
    extra = "rails: {config: {content_safety: {multilingual: {enabled: true, refusal_messages: {es: ¡No!}}}}}"
    bench = Bench('{"User Safety": "unsafe"}', kind="guard", extra=extra)
    outcome = await bench.run(
        "content_safety_check_input", {"user_message": "¿cómo hago una bomba?"}, model_name="guard"
    )
    assert (outcome.metadata["language"], outcome.metadata["refusal"]) == ("es", "¡No!")


@pytest.mark.parametrize("name", ["content_safety_check_input", "content_safety_check_output"])
@pytest.mark.parametrize("reply", ["I would say it is fine", LLMServerError(500, "down"), "{}"])
async def test_a_guard_that_gives_no_verdict_is_an_error(name: str, reply: Any) -> None:
    with pytest.raises((ValueError, LLMServerError)):
        await Bench(reply, kind="guard").run(name, model_name="guard")


async def test_a_guard_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="`other`; types given: guard, llama_guard, main"):
        await Bench(extra="  - {task: content_safety_check_input $model=other, content: x}").run(
            "content_safety_check_input", model_name="other"
        )


@pytest.mark.parametrize(
    ("answer", "blocked"), [("on-topic", False), ("off-topic", True), ("Off-Topic.", True)]
)
@pytest.mark.parametrize(
    "first",
    [
        [{"type": "UtteranceUserActionFinished", "final_transcript": "first"}],
        [
            {"type": "UtteranceUserActionFinished", "final_transcript": "first"},
            {"type": "UserMessage", "text": "first"},
        ],
    ],
    ids=["2.x", "1.0"],
)
async def test_topic_control_sees_the_conversation(
    first: list[dict[str, Any]], answer: str, blocked: bool
) -> None:
    bench = Bench(answer, kind="guard")
    events = [
        *first,
        {"type": "StartUtteranceBotAction", "script": "reply"},
        {"type": "UtteranceUserActionFinished", "final_transcript": "hello"},
    ]
    outcome = await bench.run("topic_safety_check_input", model_name="guard", events=events)
    assert outcome.is_blocked is blocked
    system, *said = bench.script.requests[0].messages
    assert str(system.content).startswith("TOPICS\n\n")
    assert said == [Message("user", "first"), Message("assistant", "reply"), Message("user", "hello")]


async def test_topic_control_takes_no_other_answer() -> None:
    outcome = await Bench("sure", kind="guard").run("topic_safety_check_input", model_name="guard")
    assert (outcome.is_blocked, outcome.failed, outcome.reason) == (True, True, "no verdict in 'sure'")


@pytest.mark.parametrize(
    ("answer", "blocked", "violations"),
    [
        ("safe", False, None),
        ("unsafe\nS1 S2", True, ["s1", "s2"]),
        ("hm", True, []),
        ("safe unsafe", True, []),
    ],
)
async def test_llama_guard_blocks_whatever_it_does_not_call_safe(
    answer: str, blocked: bool, violations: list[str] | None
) -> None:
    for name in ("llama_guard_check_input", "llama_guard_check_output"):
        outcome = await Bench(answer, kind="llama_guard").run(name)
        assert (outcome.is_blocked, outcome.metadata["policy_violations"]) == (blocked, violations)


# --- plain Python --------------------------------------------------------------------------------------------------

PATTERNS = (
    "rails: {config: {regex_detection: {input: {patterns: ['he.lo', '\\d{4}'], case_insensitive: true}}}}"
)


@pytest.mark.parametrize(
    ("text", "found"), [("HELLO 1234", ["he.lo", "\\d{4}"]), ("fine", []), ("", []), (None, [])]
)
async def test_a_text_in_which_a_pattern_is_found_is_blocked(text: str | None, found: list[str]) -> None:
    outcome = await Bench(extra=PATTERNS).run("detect_regex_pattern", source="input", text=text)
    assert (outcome.is_blocked, outcome.metadata["detections"]) == (bool(found), found)


@pytest.mark.parametrize(
    "text",
    [
        "he\u200bllo",
        "\u202ehello",
        "h\ufe0fello",
        "\uff48\uff45\uff4c\uff4c\uff4f",
        "hel\u00adlo",
        "h\U000e0041ello",
    ],
)
@pytest.mark.parametrize("engine", ["re2", "backtracking"])
async def test_patterns_find_what_everybody_reads(engine: str, text: str) -> None:
    extra = PATTERNS.replace("patterns", f"engine: {engine}, patterns")
    outcome = await Bench(extra=extra).run("detect_regex_pattern", source="input", text=text)
    assert outcome.metadata["detections"] == ["he.lo"]
    assert outcome.metadata["text"] == text


async def test_patterns_find_characters_that_nobody_sees() -> None:
    extra = PATTERNS.replace("he.lo", "\\x{200b}")
    assert (await Bench(extra=extra).run("detect_regex_pattern", source="input", text="a\u200bb")).is_blocked


async def test_patterns_of_another_direction_do_not_count() -> None:
    assert not (
        await Bench(extra=PATTERNS).run("detect_regex_pattern", source="output", text="hello")
    ).is_blocked
    with pytest.raises(ValueError, match="unknown source"):
        await Bench().run("detect_regex_pattern", source="sideways", text="x")


async def test_backtracking_patterns_are_bounded_in_time() -> None:
    extra = (
        "rails: {config: {regex_detection: {input: "
        "{engine: backtracking, timeout_s: 0.05, patterns: ['^(?=x)x$', '(a|aa)+$']}}}}"
    )
    bench = Bench(extra=extra)
    assert (await bench.run("detect_regex_pattern", source="input", text="x")).is_blocked
    with pytest.raises(TimeoutError):
        await bench.run("detect_regex_pattern", source="input", text="a" * 60 + "b")


async def test_a_search_that_may_take_long_leaves_the_event_loop_free() -> None:
    extra = "rails: {config: {regex_detection: {input: {patterns: ['a.{500}b.{500}c']}}}}"
    text = "".join(random.Random(1).choices("ab", k=8_000))
    search = Bench(extra=extra).run("detect_regex_pattern", source="input", text=text)
    searching = asyncio.create_task(search)
    turns = 0
    while not searching.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert turns > 3
    assert not (await searching).is_blocked


BLOAT = "rails: {config: {context_bloat_detection: %s}}"
PLAIN = "the quick brown fox jumps over a lazy dog near the river bank today yes"


@pytest.mark.parametrize(
    ("options", "text", "decision", "reason"),
    [
        ("{}", PLAIN, "allow", None),
        ("{}", "", "allow", None),
        ("{}", "aaaaaaa", "allow", None),
        ("{max_chars: 20}", PLAIN, "block", "size_cap_exceeded"),
        ("{}", "a" * 80, "block", "low_entropy"),
        ("{}", "x" * 30 + PLAIN, "block", "long_run"),
        ("{min_entropy: 0}", "spam eggs ham " * 20, "block", "high_repetition"),
        ("{action: truncate, max_chars: 30, min_chars: 200}", PLAIN, "transform", "size_cap_exceeded"),
        ("{action: truncate, max_chars: 30}", "a" * 80, "block", "low_entropy"),
        (
            "{action: warn, max_chars: 30}",
            "spam eggs ham " * 20,
            "allow",
            "size_cap_exceeded, low_entropy, high_repetition",
        ),
    ],
)
async def test_texts_that_are_too_long_or_say_too_little_are_stopped_as_configured(
    options: str, text: str, decision: str, reason: str | None
) -> None:
    outcome = await Bench(extra=BLOAT % options).run("context_bloat_detection", source="input", text=text)
    assert (outcome.decision, outcome.reason) == (decision, reason)
    if decision == "transform":
        assert outcome.transform_text == text[:30]


@given(st.text(max_size=300))
def test_any_text_can_be_measured(text: str) -> None:
    from rails_engine.actions import TransformTarget
    from rails_engine.config.schema import ContextBloatDetectionConfig
    from rails_engine.library.actions.context_bloat import judged

    outcome = judged(
        text, ContextBloatDetectionConfig(action="truncate", max_chars=50), TransformTarget.USER_MESSAGE
    )
    assert outcome.is_blocked or len(outcome.transform_text or text) <= 50


# --- endpoints -----------------------------------------------------------------------------------------------------

HEURISTICS = "rails: {config: {jailbreak_detection: {server_endpoint: 'http://h/x', nim_base_url: 'http://n/v1', api_key: k}}}"


def verdict(jailbreak: object, **more: Any) -> HTTPResponse:
    return HTTPResponse(200, content=json.dumps({"jailbreak": jailbreak, **more}).encode())


async def test_jailbreak_rails_ask_their_endpoints_and_heed_the_verdict() -> None:
    client = RecordingHTTPClient([verdict(True, score=0.9), verdict(False)])
    bench = Bench(extra=HEURISTICS)
    first = await bench.run("jailbreak_detection_heuristics", http_client=client)
    second = await bench.run("jailbreak_detection_model", http_client=client)
    assert (first.is_blocked, second.is_blocked, first.metadata) == (True, False, {"score": 0.9})
    assert [(asked.method, asked.url, asked.json, asked.headers) for asked in client.requests] == [
        ("POST", "http://h/x", {"prompt": "hello", "lp_threshold": 89.79, "ps_ppl_threshold": 1845.65}, {}),
        ("POST", "http://n/v1/classify", {"input": "hello"}, {"Authorization": "Bearer k"}),
    ]


async def test_a_jailbreak_endpoint_that_is_missing_down_or_odd() -> None:
    odd = RecordingHTTPClient([verdict("no")])
    with pytest.raises(ConfigurationError, match="server_endpoint"):
        await Bench().run("jailbreak_detection_heuristics")
    with pytest.raises(ValueError, match="no `jailbreak: true`"):
        await Bench(extra=HEURISTICS).run("jailbreak_detection_heuristics", http_client=odd)
    down = HEURISTICS.replace("http://h/x", "http://127.0.0.1:9/x")
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9"):
        await Bench(extra=down).run("jailbreak_detection_heuristics")


# --- pictures ------------------------------------------------------------------------------------------------------

PICTURE = [
    {"type": "text", "text": "look"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("self_check_input", {}),
        ("content_safety_check_input", {"model_name": "guard"}),
        ("topic_safety_check_input", {"model_name": "guard"}),
        ("llama_guard_check_input", {}),
        ("detect_regex_pattern", {"source": "input", "text": PICTURE}),
        ("context_bloat_detection", {"source": "input", "text": PICTURE}),
        ("jailbreak_detection_heuristics", {}),
    ],
)
async def test_no_picture_passes_unseen(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"'image_url', which this rail cannot read"):
        await Bench(extra=HEURISTICS).run(name, {"user_message": PICTURE}, **given)


async def test_pictures_pass_where_the_configuration_lets_them() -> None:
    bench = Bench("no", extra="rails: {input: {allow_images: true}}")
    assert not (await bench.run("self_check_input", {"user_message": PICTURE})).is_blocked
    assert bench.prompts == ["IN look"]


# --- personal data -------------------------------------------------------------------------------------------------

PRIVATE = "rails: {config: {sensitive_data_detection: {input: {entities: [EMAIL_ADDRESS]}}}}"


@pytest.mark.parametrize("name", ["detect_sensitive_data", "mask_sensitive_data"])
async def test_without_entities_there_is_nothing_to_find(name: str) -> None:
    outcome = await Bench(extra=PRIVATE).run(name, source="output", text="a@b.example")
    assert (outcome.is_blocked, outcome.is_transform) == (False, False)


@pytest.mark.parametrize("name", ["detect_sensitive_data", "mask_sensitive_data"])
async def test_without_its_package_the_rail_is_an_error_that_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzer_of.cache_clear()
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ImportError, match=r"interlock-rails\[pii\]"):
        await Bench(extra=PRIVATE).run(name, source="input", text="a@b.example")
