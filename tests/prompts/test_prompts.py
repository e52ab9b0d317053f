"""Prompts: which one is chosen, how it is filled in, and how answers are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rails_engine.config import ConfigProblemsError, RailsConfig
from rails_engine.errors import PromptError
from rails_engine.llm import ImagePart, Message, TextPart
from rails_engine.prompts import FILTERS, PARSERS, LLMTaskManager, PromptLibrary, Rendered, Task

MODEL = (
    "models: [{type: main, engine: openai, model: gpt-4o-mini}, {type: guard, engine: nim, model: g-8b}]\n"
)


def library(prompts: str = "", extra: str = "") -> PromptLibrary:
    listed = f"prompts:\n{prompts}" if prompts else ""
    return PromptLibrary(RailsConfig.from_content(yaml_content=f"{MODEL}{listed}\n{extra}"))


def text(rendered: Rendered) -> str:
    assert rendered.prompt is not None
    return rendered.prompt


def said(*texts: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for number, words in enumerate(texts):
        if number:
            events.append({"type": "StartUtteranceBotAction", "script": "a reply of medium size"})
        events.append({"type": "UtteranceUserActionFinished", "final_transcript": words})
        events.append({"type": "UserMessage", "text": words})
    return events


# --- choosing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompts", "chosen"),
    [
        ("- {task: t, content: any}", "any"),
        (
            "- {task: t, models: [openai/gpt-4o-mini], content: exact}\n- {task: t, models: [openai], content: engine}",
            "exact",
        ),
        ("- {task: t, models: [openai], content: engine}\n- {task: t, content: any}", "engine"),
        (
            "- {task: t, models: [openai], content: engine}\n- {task: t, models: [gpt-4], content: family}",
            "engine",
        ),
        (
            "- {task: t, models: [openai/gpt-4o-mini], content: whole}\n- {task: t, models: [gpt-4o-mini], content: name}",
            "whole",
        ),
        ("- {task: t, models: [4o-mini], content: part}\n- {task: t, models: [nim], content: other}", "part"),
        ("- {task: t, content: first}\n- {task: t, content: last}", "last"),
        ("- {task: t, content: any}\n- {task: t, models: [nim/other], content: other}", "any"),
    ],
)
def test_the_most_specific_prompt_is_chosen_and_of_equals_the_last(prompts: str, chosen: str) -> None:
    assert text(library(prompts).render("t", {})) == chosen


def test_a_mode_prefers_its_own_prompts() -> None:
    prompts = "- {task: t, mode: compact, content: short}\n- {task: t, content: long}"
    assert text(library(prompts).render("t", {})) == "long"
    assert text(library(prompts, "prompting_mode: compact").render("t", {})) == "short"
    assert not library("- {task: t, mode: compact, content: short}").has("t")


@pytest.mark.parametrize(
    ("standard", "compact", "chosen"),
    [
        ("models: [openai/gpt-4o-mini]", "models: [openai]", "last"),
        ("models: [openai/gpt-4o-mini]", "models: [gpt-4]", "standard"),
        ("models: [openai]", "models: [gpt-4]", "compact"),
        ("models: [gpt-4]", "max_tokens: 5", "last"),
    ],
)
def test_a_mode_weighs_as_much_as_a_step_in_naming_the_model(
    standard: str, compact: str, chosen: str
) -> None:
    one = f"- {{task: t, {standard}, content: standard}}"
    other = f"- {{task: t, mode: compact, {compact}, content: compact}}"
    found = {
        text(library("\n".join(prompts), "prompting_mode: compact").render("t", {}))
        for prompts in ((one, other), (other, one))
    }
    assert found == ({"standard", "compact"} if chosen == "last" else {chosen})


def test_the_model_of_a_task_decides() -> None:
    prompts = "- {task: t $model=guard, models: [nim], content: for nim}"
    assert text(library(prompts).render("t $model=guard", {})) == "for nim"
    assert text(library("- {task: t, models: [nim], content: x}").render("t", {})) == "x"


def test_messages_that_say_nothing_are_left_out() -> None:
    prompt = "- {task: t, messages: [{type: system, content: S}, {type: user, content: ' {{ nothing }}'}]}"
    assert [message.content for message in library(prompt).render("t", {}).messages] == ["S"]


def test_every_task_of_the_dialog_has_a_prompt() -> None:
    own = library()
    missing = [task.value for task in Task if not own.has(task.value)]
    assert missing == ["patronus_lynx_check_output_hallucination"]


def test_a_prompt_of_the_configuration_replaces_the_shipped_one() -> None:
    assert text(library("- {task: general, content: mine}").render("general", {})) == "mine"


def test_a_missing_prompt_is_named() -> None:
    with pytest.raises(PromptError, match="no prompt for the task `nowhere`"):
        library().render("nowhere", {})


def test_prompts_of_a_folder_replace_those_built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "p.yml").write_text("prompts: [{task: general, models: [openai], content: from folder}]")
    monkeypatch.setenv("PROMPTS_DIR", str(tmp_path))
    assert text(library().render("general", {})) == "from folder"


# --- filling in ----------------------------------------------------------------------------------------------------


def test_variables_of_the_configuration_and_of_the_caller() -> None:
    prompts = "- {task: t, content: '{{ general_instructions }}|{{ x }}|{{ registered }}|{{ called }}|{{ nothing }}'}"
    own = library(prompts, "instructions: [{type: other, content: O}, {type: general, content: G}]")
    own.register_context("registered", "R")
    own.register_context("called", lambda: "C")
    assert text(own.render("t", {"x": 1})) == "G|1|R|C|"


def test_stop_and_tokens_travel_with_the_prompt() -> None:
    rendered = library("- {task: t, content: x, stop: ['User:'], max_tokens: 7}").render("t", {})
    assert (rendered.stop, rendered.max_tokens) == (("User:",), 7)


def test_messages_with_roles_and_history() -> None:
    prompts = """
- task: t
  messages:
    - {type: system, content: "S {{ x }}"}
    - "{{ history | to_chat_messages }}"
    - {type: user, content: "{{ picture }}"}
"""
    picture = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    rendered = library(prompts).render("t", {"x": 1, "history": said("one", "two"), "picture": picture})
    assert rendered.messages == (
        Message("system", "S 1"),
        Message("user", "one"),
        Message("assistant", "a reply of medium size"),
        Message("user", "two"),
        Message("user", (TextPart("look"), ImagePart("data:x"))),
    )


@pytest.mark.parametrize("user_input", ["{{ 7 * 7 }}", "{% for x in y %}", "{{ ''.__class__ }}", "{#"])
def test_what_a_user_says_is_never_a_template(user_input: str) -> None:
    own = library("- {task: t, content: '<{{ user_input }}>'}")
    assert text(own.render("t", {"user_input": user_input})) == f"<{user_input}>"
    rendered = own.render("general", {"history": said(user_input)})
    assert rendered.messages[-1].content == user_input


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ x.append(1) }}",
        "{{ x | no_such_filter }}",
        "{{ range(999999999) | list }}",
        "{{ ('x' * 1000000000) | length }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
    ],
)
def test_templates_stay_in_their_sandbox(template: str) -> None:
    with pytest.raises(PromptError, match="prompt of task `t`"):
        library(f"- task: t\n  content: >-\n    {template}").render("t", {"x": []})


def test_arithmetic_and_centring_in_templates_are_bounded() -> None:
    assert library().fill("{{ 6 * 7 }} {{ 2 ** 3 }} {{ 'a' | center(3) }}", {}) == "42 8  a "
    assert len(library().fill("{{ 'a' | center(1000000000) }}.", {})) < 20_000


def test_what_is_no_template_is_refused_when_the_configuration_is_loaded() -> None:
    with pytest.raises(
        ConfigProblemsError, match=r"prompts\[0\].content: the prompt of task `t` is no Jinja template"
    ):
        library("- {task: t, content: '{% if %}'}")


def test_format_strings_reach_nothing_inside() -> None:
    assert library().fill("{{ '{0.__class__}'.format(x) }}", {"x": 1}) == ""


def test_own_filters_and_a_bare_template() -> None:
    own = library()
    own.register_filter(lambda words: words.upper(), "shout")
    assert own.fill("{{ x | shout }} {{ general_instructions | length > 0 }}", {"x": "hey"}) == "HEY True"


# --- length --------------------------------------------------------------------------------------------------------

SHORT = '- {task: t, max_length: 120, content: "Chat:\\n{{ history | user_assistant_sequence }}"}'


def test_the_oldest_turns_make_room() -> None:
    history = said(*(f"this is question number {n}" for n in range(20)))
    prompt = text(library(SHORT).render("t", {"history": history}))
    assert "number 19" in prompt
    assert "number 18" in prompt
    assert "number 16" not in prompt
    assert len(prompt) <= 120


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ab ", min_size=1, max_size=60), min_size=1, max_size=8), st.integers(60, 200))
def test_no_prompt_is_longer_than_it_may_be_nor_shorter_than_it_must(texts: list[str], limit: int) -> None:
    own = library(SHORT.replace("120", str(limit)))
    history = said(*texts)
    prompt = text(own.render("t", {"history": history}))
    assert len(prompt) <= limit
    ends = [
        text(library(SHORT.replace("120", "9999")).render("t", {"history": history[at:]}))
        for at in _starts(history)
    ]
    fitting = [end for end in ends if len(end) <= limit]
    assert prompt in ends or not fitting
    if fitting:
        assert len(prompt) == max(map(len, fitting))


def _starts(history: list[dict[str, Any]]) -> list[int]:
    turns = ("UserMessage", "UtteranceUserActionFinished")
    return [0, *(i for i, event in enumerate(history) if event["type"] in turns)]


def test_a_prompt_that_is_too_long_without_history() -> None:
    with pytest.raises(PromptError, match=r"without any history, and `max_length` is 5"):
        library("- {task: t, max_length: 5, content: '{{ user_input }}'}").render(
            "t", {"user_input": "x" * 9}
        )


# --- filters -------------------------------------------------------------------------------------------------------

EVENTS_1 = [
    {"type": "UtteranceUserActionFinished", "final_transcript": "Hi"},
    {"type": "StartInternalSystemAction", "action_name": "generate_user_intent", "is_system_action": True},
    {"type": "UserMessage", "text": "Hi"},
    {"type": "UserIntent", "intent": "greet"},
    {"type": "StartInternalSystemAction", "action_name": "lookup"},
    {"type": "InternalSystemActionFinished", "action_name": "lookup", "return_value": 3},
    {"type": "BotIntent", "intent": "answer", "instructions": "be kind"},
    {"type": "StartUtteranceBotAction", "script": "Hello"},
]
HISTORY_1 = """user "Hi"
  greet
execute lookup
# The result was 3
# be kind
bot answer
  "Hello"
"""
EVENTS_2 = [
    {"type": "UserActionLog", "flow_id": 'user said "a"', "parameter": None},
    {"type": "UserIntentLog", "flow_id": "user greeted", "parameter": None},
    {"type": "BotActionLog", "flow_id": "bot say", "parameter": "Hi", "intent_flow_id": "bot greet"},
    {"type": "UserActionLog", "flow_id": 'user said "b"', "parameter": None},
]
HISTORY_2 = """user action: user said "a"
user intent: user greeted

bot action: bot say "Hi"

user action: user said "b\""""
TWO_TURNS = (
    HISTORY_1.replace("execute lookup\n# The result was 3\n# be kind\n", "")
    + 'user "Bye"\n  leave\nbot wave\n'
)


def apply(name: str, *arguments: Any) -> Any:
    return FILTERS[name](*arguments)


def test_history_in_the_notation_of_each_dialect() -> None:
    assert apply("colang", EVENTS_1) == HISTORY_1
    assert apply("colang", EVENTS_2) == HISTORY_2
    assert apply("co_v2", EVENTS_2) == HISTORY_2


def test_masked_texts_are_not_quoted() -> None:
    masked = apply("colang", [*said("secret"), {"type": "mask_prev_user_message"}])
    assert "secret" not in masked
    assert masked.startswith('user "(hidden')


def test_a_turn_that_failed_is_still_quoted() -> None:
    quoted = apply("to_chat_messages", [*said("one", "two"), {"type": "hide_prev_turn"}])
    assert [message["content"] for message in quoted if message["role"] == "user"] == ["one", "two"]


def test_a_result_of_several_lines_stays_one_comment() -> None:
    ended = {"type": "InternalSystemActionFinished", "action_name": "look", "return_value": "one\ntwo"}
    assert apply("colang", [ended]) == "# The result was one two\n"


def test_filters_give_parts_of_a_history() -> None:
    assert apply("first_turns", TWO_TURNS, 1) == 'user "Hi"\n  greet\nbot answer\n  "Hello"'
    assert apply("last_turns", TWO_TURNS, 1) == 'user "Bye"\n  leave\nbot wave\n'
    assert apply("last_turns", HISTORY_2, 1) == 'user action: user said "b"'
    assert apply("remove_text_messages", TWO_TURNS) == "user greet\nbot answer\nuser leave\nbot wave\n"
    assert apply("remove_text_messages", 'user "Hi"\n') == 'user "Hi"\n'
    assert apply("indent", "a\n\nb", 2) == "  a\n\n  b"


def test_a_history_is_written_as_messages_with_or_without_intents() -> None:
    assert apply("to_messages", TWO_TURNS) == [
        {"type": "user", "content": "Hi"},
        {"type": "assistant", "content": 'User intent: greet\nBot intent: answer\nBot message: "Hello"'},
        {"type": "user", "content": "Bye"},
        {"type": "assistant", "content": "User intent: leave\nBot intent: wave"},
    ]
    assert apply("to_intent_messages", TWO_TURNS) == [
        {"type": "user", "content": "User intent: greet"},
        {"type": "assistant", "content": "Bot intent: answer"},
        {"type": "user", "content": "User intent: leave"},
        {"type": "assistant", "content": "Bot intent: wave"},
    ]
    assert apply("to_intent_messages_2", TWO_TURNS)[1:3] == [
        {"type": "assistant", "content": "Bot intent: answer"},
        {"type": "assistant", "content": 'Bot message: "Hello"'},
    ]
    assert apply("to_messages_v2", HISTORY_2) == [
        {"type": "user", "content": 'user action: user said "a"'},
        {"type": "assistant", "content": 'user intent: user greeted\nbot action: bot say "Hi"'},
        {"type": "user", "content": 'user action: user said "b"'},
    ]
    assert apply("verbose_v1", TWO_TURNS).splitlines()[:4] == [
        'User message: "Hi"', "User intent: greet", "Bot intent: answer", 'Bot message: "Hello"',
    ]  # fmt: skip
    assert apply("user_assistant_sequence", EVENTS_1) == "User: Hi\nAssistant: Hello"


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parser", "answer", "parsed"),
    [
        ("user_intent", "User intent: x", "  x"),
        ("user_intent", "ask x", "ask x"),
        ("bot_intent", "Bot intent: z", "bot z"),
        ("bot_message", 'Bot message: "hello"', '  "hello"'),
        ("verbose_v1", 'User message: "x"\nUser intent: g\nBot intent: h\nBot message: "m"', 'user "x"\n  g\nbot h\n  "m"'),
        ("is_content_safe", "safe", [True]),
        ("is_content_safe", "No.", [True]),
        ("is_content_safe", "Yes", [False]),
        ("is_content_safe", "unsafe\nS1, S9", [False, "S1", "S9"]),
        ("is_content_safe", "Unsafe S1,S2", [False, "S1", "S2"]),
        ("is_content_safe", "Not safe.", [False]),
        ("is_content_safe", "safe unsafe", [False]),
        ("is_content_safe", "un safe", [False]),
        ("is_content_safe", "I would call it safe", [False]),
        ("is_content_safe", "", [False]),
        ("is_content_safe", "no yes/no", [False]),
        ("is_content_safe", "I'm safe to say that it is not", [False]),
        ("is_content_safe", "**safe**", [True]),
        ("is_content_safe", '"safe"', [True]),
        ("nemoguard_parse_prompt_safety", '{"User Safety": "safe"}', [True]),
        ("nemoguard_parse_prompt_safety", '```json\n{"User Safety": "unsafe", "Safety Categories": "A, B"}\n```', [False, "A", "B"]),
        ("nemoguard_parse_response_safety", '{"User Safety": "unsafe", "Response Safety": "safe"}', [True]),
        ("nemotron_content_safety_parse_prompt_safety", "<think>t</think>User Safety: unsafe\nSafety Categories: X", [False, "X"]),
        ("nemotron_content_safety_parse_response_safety", "User Safety: unsafe\nResponse Safety: safe", [True]),
        ("nemotron_reasoning_parse_prompt_safety", "Prompt harm: unharmful", [True]),
        ("nemotron_reasoning_parse_prompt_safety", "Prompt harm: harmful", [False]),
        ("nemotron_reasoning_parse_response_safety", "Prompt harm: unharmful", [False]),
        ("nemotron_reasoning_parse_prompt_safety", "Prompt harm: harmful\nPrompt harm: unharmful", [False]),
        ("nemotron_reasoning_parse_prompt_safety", "Prompt harm: unharmful\nPrompt harm: unharmful", [True]),
    ],
)  # fmt: skip
def test_a_parser_reads_the_verdict_of_its_kind_of_model(parser: str, answer: str, parsed: Any) -> None:
    assert PARSERS[parser](answer) == parsed


@pytest.mark.parametrize("answer", ["I would say it is fine", "[]", "{}", '{"Response Safety": 1}', ""])
def test_a_fixed_form_is_held_to(answer: str) -> None:
    for name in PARSERS:
        if name.startswith(("nemoguard", "nemotron_content")):
            with pytest.raises(ValueError, match="content safety model"):
                PARSERS[name](answer)


@given(st.text(max_size=80))
def test_nothing_passes_that_does_not_say_so(answer: str) -> None:
    passed = PARSERS["is_content_safe"](answer)[0]
    assert not passed or {"safe", "no"} & {
        word.strip("\"'`*.,:;!?()[]{}<>").lower() for word in answer.split()[:2]
    }


@pytest.mark.parametrize("verdicts", [("unsafe", "safe"), ("safe", "unsafe")])
def test_of_two_verdicts_none_counts(verdicts: tuple[str, str]) -> None:
    as_json = ", ".join(f'"User Safety": "{verdict}"' for verdict in verdicts)
    lines = "\n".join(f"User Safety: {verdict}" for verdict in verdicts)
    with pytest.raises(ValueError, match="content safety model"):
        PARSERS["nemoguard_parse_prompt_safety"](f"{{{as_json}}}")
    with pytest.raises(ValueError, match="content safety model"):
        PARSERS["nemotron_content_safety_parse_prompt_safety"](lines)


def test_an_answer_is_parsed_as_its_task_says() -> None:
    own = library("- {task: t, content: x, output_parser: own}\n- {task: u, content: x, output_parser: gone}")
    own.register_output_parser(lambda answer: answer[::-1], "own")
    assert (own.parse("t", "abc"), own.parse("general", "abc"), own.parse("general", "no", "is_content_safe")) == (
        "cba", "abc", [True],
    )  # fmt: skip
    with pytest.raises(PromptError, match="no output parser `gone`; known: bot_intent"):
        own.parse("u", "abc")


def test_the_task_manager_of_users_actions() -> None:
    prompts = "- {task: t, content: 'T {{ x }}', stop: [s], max_tokens: 2, output_parser: is_content_safe}"
    config = RailsConfig.from_content(yaml_content=f"{MODEL}prompts:\n{prompts}")
    manager = LLMTaskManager(config)
    assert manager.render_task_prompt("t", {"x": 1}) == "T 1"
    assert manager.render_task_prompt("t", {"x": 1}, force_string_to_message=True) == [
        {"type": "system", "content": "T 1"}
    ]
    assert manager.render_task_prompt(Task.GENERAL, events=said("hi"))[-1] == {
        "type": "user",
        "content": "hi",
    }
    assert (manager.get_stop_tokens("t"), manager.get_max_tokens("t"), manager.has_output_parser("t")) == (
        ["s"],
        2,
        True,
    )
    assert manager.parse_task_output("t", "yes") == [False]
