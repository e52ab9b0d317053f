"""A configuration given as text: what is read, what is refused, and where the refusal points."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from colang import ColangError
from rails_engine import LLMRails
from rails_engine.config import ConfigProblemsError, RailsConfig, parse_flow_ref
from rails_engine.errors import ConfigurationError, InvalidRailsConfigurationError
from rails_engine.spelling import nearest


def load(text: str) -> RailsConfig:
    return RailsConfig.from_content(yaml_content=text)


def refusal(text: str) -> str:
    with pytest.raises(ConfigProblemsError) as caught:
        load(text)
    return str(caught.value)


def test_what_the_author_leaves_out_has_its_default() -> None:
    config = load("models: []")
    assert config.colang_version == "1.0"
    assert config.lowest_temperature == 0.001
    assert config.rails.output.streaming.chunk_size == 200
    assert not config.rails.output.streaming.stream_first
    assert config.rails.config.context_bloat_detection
    assert config.rails.config.context_bloat_detection.max_chars == 5000
    assert config.raw_llm_call_action == "raw llm call"
    assert (config.docs, config.prompts, config.import_paths, config.imported_paths) == ([], [], [], {})


def test_each_dialect_has_its_own_sample_conversation() -> None:
    assert "user action:" not in (load("models: []").sample_conversation or "")
    assert "user action:" in (load('colang_version: "2.x"').sample_conversation or "")


def test_yaml_is_laid_over_a_mapping() -> None:
    mapping = {
        "lowest_temperature": 0.9,
        "custom_data": {"k": "mapping", "own": 1},
        "rails": {"input": {"flows": ["a"]}},
    }
    config = RailsConfig.from_content(
        yaml_content="custom_data: {k: yaml}\nrails: {input: {flows: [b]}}", config=mapping
    )
    assert config.lowest_temperature == 0.9
    assert config.custom_data == {"k": "yaml", "own": 1}
    assert config.rails.input.flows == ["a", "b"]
    assert mapping["custom_data"] == {"k": "mapping", "own": 1}


def test_colang_is_kept_as_a_source() -> None:
    config = RailsConfig.from_content("define user greet\n  'hi'\n", "models: []")
    assert [(source.name, source.text) for source in config.sources] == [
        ("main.co", "define user greet\n  'hi'\n")
    ]


MESSAGES = """
define user tea
  "tea please"
define bot pour
  "Here is tea."
define flow
  event UserMessage
  bot pour
"""


def test_messages_of_a_source_count_before_those_of_yaml() -> None:
    config = RailsConfig.from_content(
        MESSAGES, "models: []\nuser_messages: {tea: [chai], cake: [cake]}\nbot_messages: {pour: [Pouring.]}"
    )
    assert config.user_messages == {"tea": ["tea please"], "cake": ["cake"]}
    assert LLMRails(config).generate(prompt="hi") == "Here is tea."


def test_messages_may_be_changed_in_code_before_the_rails_are_made() -> None:
    config = RailsConfig.from_content(MESSAGES, "models: []")
    config.bot_messages["pour"] = ["Your tea."]
    assert LLMRails(config).generate(prompt="hi") == "Your tea."


def test_nothing_at_all_is_refused() -> None:
    with pytest.raises(InvalidRailsConfigurationError, match="at least one"):
        RailsConfig.from_content()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("modles: []", "config.yml:1:1: error: modles: unknown key; did you mean `models`?"),
        (
            "rails:\n  input:\n    flow: [x]",
            "config.yml:3:5: error: rails.input.flow: unknown key; did you mean `flows`?",
        ),
        (
            "models:\n  - type: main\n    enigne: openai\n    model: m",
            "config.yml:3:5: error: models[0].enigne: unknown key; did you mean `engine`?",
        ),
        (
            "rails:\n  dialog:\n    user_messages: {Embeddings-Only-Fallback-Intent: x}",
            "Embeddings-Only-Fallback-Intent: unknown key; did you mean `embeddings_only_fallback_intent`?",
        ),
        (
            "models: [{type: main, engine: openai}]",
            "config.yml:1:10: error: models[0]: name the model in exactly one",
        ),
        ("colang_version: '2.0'", 'config.yml:1:1: error: colang_version: "2.0" is no Colang version'),
        (
            "rails:\n  input: {parallel: maybe}",
            "config.yml:2:11: error: rails.input.parallel: `true` or `false` is expected",
        ),
        ("models: [\n a: b", "this is no valid YAML"),
        ("just words", "config.yml:1:1: error: expected a mapping of configuration keys"),
        ("a: &a [*a]", "config.yml:1:4: error: an alias refers to something that contains it"),
        ("? [1]\n: 2", "a key must be a word"),
        (
            "rails: {input: {flows: ['content safety check input $model=x y']}}",
            "cannot read 'y' in the flow reference",
        ),
        ("passthrough: true\nrails: {dialog: {single_call: {enabled: true}}}", "passthrough"),
    ],
)
def test_an_error_names_the_place_and_what_would_be_right(text: str, expected: str) -> None:
    assert expected in refusal(text)


def test_every_error_is_listed_at_once() -> None:
    message = refusal("modles: []\npromts: []\nrails: {input: {flows: [self check input]}}")
    assert [line.split(" ", 1)[0] for line in message.splitlines()] == [
        "config.yml:1:1:", "config.yml:2:1:", "config.yml:3:25:",
    ]  # fmt: skip


def test_own_top_level_keys_go_to_custom_data() -> None:
    config = load("company: {name: Acme}\ncustom_data: {team: blue}")
    assert config.custom_data == {"company": {"name": "Acme"}, "team": "blue"}
    assert config.problems == ()


def test_an_unknown_nested_key_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = load("rails:\n  input:\n    colour: red")
    assert [str(problem).partition(";")[0] for problem in config.problems] == [
        "config.yml:3:5: warning: rails.input.colour: unknown key, it has no effect"
    ]
    assert "rails.input.colour" in caplog.text


def test_free_parameters_are_left_alone() -> None:
    text = "models: [{type: main, engine: openai, model: m, parameters: {modle: 1, flwos: 2}}]"
    assert load(text).problems == ()


def test_a_key_given_twice_is_a_warning() -> None:
    assert "given twice; the value of line 1" in str(
        load("passthrough: true\npassthrough: false").problems[0]
    )


def test_merge_keys_are_no_repeats() -> None:
    text = "custom_data:\n  base: &base {a: 1}\n  own: {<<: *base, a: 2}"
    config = load(text)
    assert config.custom_data["own"] == {"a": 2}
    assert config.problems == ()


def test_nested_aliases_are_bounded() -> None:
    lines = ["custom_data:", "  a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"  {b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    assert "aliases expand to more than 500,000 values" in refusal("\n".join(lines))


def test_deep_nesting_is_bounded() -> None:
    assert "nested more than 64 deep" in refusal("custom_data: " + "[" * 90 + "]" * 90)


def test_unsafe_tags_are_refused() -> None:
    assert "error" in refusal("custom_data: {x: !!python/object/apply:os.getcwd []}")


# --- what must hold between the parts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "direction", "task"),
    [
        ("self check input", "input", "self_check_input"),
        ("self check input $variant=strict", "input", "self_check_input $variant=strict"),
        ("self check output", "output", "self_check_output"),
        ("self check facts", "output", "self_check_facts"),
        ("llama guard check input", "input", "llama_guard_check_input"),
    ],
)
def test_a_rail_needs_its_prompt(flow: str, direction: str, task: str) -> None:
    rails = f"rails: {{{direction}: {{flows: ['{flow}']}}}}"
    assert f"task: {task}" in refusal(rails)
    assert load(f"{rails}\nprompts: [{{task: {task}, content: x}}]").prompts


def test_a_rail_needs_its_model() -> None:
    models = "models: [{type: content_safety, engine: nim, model: m}]\n"
    message = refusal(models + "rails: {input: {flows: ['content safety check input $model=content_safty']}}")
    assert "did you mean `content_safety`?" in message
    assert "needs a model" in refusal(models + "rails: {input: {flows: ['topic safety check input']}}")


def test_a_key_variable_must_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "models: [{type: main, engine: openai, model: m, api_key_env_var: INTERLOCK_TEST_KEY}]"
    assert "INTERLOCK_TEST_KEY is not set" in refusal(text)
    monkeypatch.setenv("INTERLOCK_TEST_KEY", "k")
    assert load(text).models[0].api_key_env_var == "INTERLOCK_TEST_KEY"


@pytest.mark.parametrize("parameters", ["model", "model_name"])
def test_the_model_name_may_stand_in_the_parameters(parameters: str) -> None:
    model = load(
        f"models: [{{type: main, engine: openai, parameters: {{{parameters}: m, top_p: 1}}}}]"
    ).models[0]
    assert (model.model, model.parameters) == ("m", {"top_p": 1})


@pytest.mark.parametrize(
    "prompt", ["{task: general}", "{task: general, content: a, messages: [{type: user, content: b}]}"]
)
def test_a_prompt_has_one_form(prompt: str) -> None:
    assert "`general`" in refusal(f"prompts: [{prompt}]")


def test_text_that_went_out_cannot_be_rewritten() -> None:
    flows = "rails: {output: {flows: [mask sensitive data on output], streaming: {stream_first: true}}}"
    assert "cannot be rewritten" in refusal(flows)


def test_patterns_are_compiled_when_loaded() -> None:
    patterns = "rails: {config: {regex_detection: {input: {patterns: ['ok', '%s']%s}}}}"
    assert "pattern 1" in refusal(patterns % ("(?=x)", ""))
    options = load(patterns % ("a+", ", case_insensitive: true")).rails.config.regex_detection
    assert options
    assert options.input.found_in(["xAAx"]) == ["a+"]
    options.input.patterns.append("x$")
    assert options.input.found_in(["xAAx"]) == ["a+", "x$"]
    assert load(patterns % ("(?=x)", ", engine: backtracking"))


def test_a_config_built_in_code_is_checked_too() -> None:
    with pytest.raises(ValidationError, match="self_check_input"):
        RailsConfig(rails={"input": {"flows": ["self check input"]}})  # type: ignore[arg-type]


# --- two into one --------------------------------------------------------------------------------------------------

LEFT = """
instructions: [{type: general, content: A}]
rails: {input: {flows: [x, both]}}
custom_data: {k: 1, z: 2}
lowest_temperature: 0.1
"""
RIGHT = """
models: [{type: main, engine: openai, model: m}]
instructions: [{type: general, content: B}]
rails: {input: {flows: [y, both]}, output: {flows: [z]}}
custom_data: {k: 2}
"""


def test_the_right_one_wins_and_its_items_come_first() -> None:
    total = RailsConfig.from_content("left", LEFT) + RailsConfig.from_content("right", RIGHT)
    assert [i.content for i in total.instructions or ()] == ["B", "A"]
    assert total.rails.input.flows == ["y", "both", "x"]
    assert total.rails.output.flows == ["z"]
    assert total.custom_data == {"k": 2, "z": 2}
    assert total.lowest_temperature == 0.1
    assert [model.model for model in total.models] == ["m"]
    assert [source.text for source in total.sources] == ["right", "left"]


def test_adding_keeps_what_code_has_changed() -> None:
    config = load("models: []")
    config.rails.input.flows.append("late")
    assert (config + load("models: []")).rails.input.flows == ["late"]


def test_two_models_of_one_type_cannot_both_be_meant() -> None:
    other = load("models: [{type: main, engine: openai, model: n}]")
    with pytest.raises(ConfigurationError, match="type `main`: one has openai m, the other openai n"):
        load(RIGHT) + other


# --- small parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("self check input", "self check input", {}),
        ("a b $model=x", "a b", {"model": "x"}),
        ('a $variant="two words" $model=y', "a", {"variant": "two words", "model": "y"}),
        ("a(model=x, url='k=v')", "a", {"model": "x", "url": "k=v"}),
        ("a($model=x)", "a", {"model": "x"}),
    ],
)
def test_a_flow_reference_is_read_into_name_and_parameters(
    text: str, name: str, parameters: dict[str, str]
) -> None:
    ref = parse_flow_ref(text)
    assert (ref.name, ref.parameters) == (name, parameters)


@pytest.mark.parametrize(
    ("text", "name", "positional", "parameters"),
    [
        ("check length $input_text", "check length", ("$input_text",), {}),
        ('block "two words" $level=3', "block", ('"two words"',), {"level": "3"}),
        ("check($input_text, 5, mode='x')", "check", ("$input_text", "5"), {"mode": "x"}),
        ("don't say it", "don't say it", (), {}),
    ],
)
def test_values_without_names_are_kept_as_written(
    text: str, name: str, positional: tuple[str, ...], parameters: dict[str, str]
) -> None:
    ref = parse_flow_ref(text)
    assert (ref.name, ref.positional, ref.parameters) == (name, positional, parameters)


def test_colang_1_takes_values_by_name_alone() -> None:
    with pytest.raises(ConfigProblemsError, match="write it as name"):
        RailsConfig.from_content("", "models: []\nrails: {input: {flows: [check length $input_text]}}")


@given(st.text("abcdefgh", min_size=5, max_size=12), st.integers(0, 11), st.sampled_from("xyz"))
def test_one_slip_is_always_recognised(word: str, position: int, letter: str) -> None:
    at = position % len(word)
    assert nearest(word[:at] + letter + word[at + 1 :], [word, "completely different"]) == word


@given(st.text("{}[]&*!:-?#'\"\n a1", max_size=60))
def test_any_text_loads_or_is_refused_with_a_place(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.yml").write_text(text, encoding="utf-8")
        Path(folder, "main.co").touch()
        config, problems = RailsConfig.inspect(folder)
    assert all(problem.place for problem in problems)
    assert (config is None) == any(problem.severity == "error" for problem in problems)


# --- what Colang sources show --------------------------------------------------------------------------------------

TEA = """
define user asks about tea
  "green tea"
  "black tea"
define bot talks about tea
  "Tea is warm."
define flow tea
  user asks about tea
  bot talks about tea
"""


def test_the_definitions_of_1_0_sources_are_shown() -> None:
    config = RailsConfig.from_content(TEA, "user_messages: {asks about milk: [milk]}")
    assert config.user_messages == {"asks about tea": ["green tea", "black tea"], "asks about milk": ["milk"]}
    assert config.bot_messages == {"talks about tea": ["Tea is warm."]}
    assert [flow["id"] for flow in config.flows] == ["tea"]
    assert config.yaml_flows == []


def test_adding_does_not_show_definitions_twice() -> None:
    yaml_flow = "flows: [{id: y, elements: [{user: a}, {bot: b}]}]"
    total = RailsConfig.from_content(TEA, yaml_flow) + RailsConfig.from_content(yaml_content="models: []")
    assert [flow["id"] for flow in total.flows] == ["y", "tea"]
    assert [flow["id"] for flow in total.yaml_flows] == ["y"]
    assert total.user_messages == {"asks about tea": ["green tea", "black tea"]}


def test_a_1_0_source_that_cannot_be_read_is_refused_when_loaded() -> None:
    with pytest.raises(ColangError, match=r"main\.co:2"):
        RailsConfig.from_content("define flow x\n  ???\n", "models: []")


def test_imports_of_2_x_sources_are_shown() -> None:
    source = 'import core\nimport timing # later\n"""\nimport nothing\n"""\nflow main\n  match X()\n'
    config = RailsConfig.from_content(source, "colang_version: '2.x'\nimport_paths: [llm]")
    assert config.import_paths == ["llm", "core", "timing"]
    assert config.flows == []


# --- two dialects --------------------------------------------------------------------------------------------------


def test_files_of_the_other_dialect_alone_are_an_error() -> None:
    with pytest.raises(
        ConfigProblemsError, match=r'every Colang file is 2\.x \(main\.co\); set `colang_version: "2\.x"`'
    ):
        RailsConfig.from_content("flow main\n  match X()\n", "models: []")
    with pytest.raises(
        ConfigProblemsError, match=r"config\.yml:1:1: error: colang_version: every Colang file is 1\.0"
    ):
        RailsConfig.from_content(TEA, "colang_version: '2.x'")


def test_a_folder_may_hold_both_dialects(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("models: []")
    (tmp_path / "one.co").write_text(TEA)
    (tmp_path / "two.co").write_text("flow main\n  match X()\n")
    config = RailsConfig.from_path(tmp_path)
    assert list(config.user_messages) == ["asks about tea"]
    assert [problem.severity for problem in config.problems] == ["warning"]
    assert "two.co:1:1: warning: this is Colang 2.x and is skipped" in str(config.problems[0])
