"""Values of the wrong kind anywhere in `config.yml`: the file, the place, the key, and how to write it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from colang import ColangError
from nemoguardrails import RailsConfig
from nemoguardrails.exceptions import ConfigurationError

MODEL = "{type: main, engine: openai, model: m"

CASES = {
    "models: gpt-4o": "1:1: error: models: a list is expected, not the text 'gpt-4o'; write it as an item: `- gpt-4o`",
    "models: [5]": "1:10: error: models[0]: a mapping with keys such as `type`, `engine`, `model`,",
    f"models: [{MODEL}, parameters: [1]}}]": "models[0].parameters: a mapping is expected, not a list",
    f"models: [{MODEL}, modle: n}}]": "models[0].modle: unknown key; did you mean `model`?",
    "models: [{type: main, engine: openai, model: 5}]": 'models[0].model: text is expected, not the number 5; write it in quotes: "5"',
    f"models: [{MODEL}, mode: chatty}}]": "models[0].mode: should be 'chat' or 'text', not the text 'chatty'",
    "rails: {input: [self check input]}": "is expected, not a list; write the list below `flows`",
    "rails: {output: {flows: }}": "1:18: error: rails.output.flows: a list is expected, not nothing",
    "rails: {output: {streaming: true}}": "is expected, not `true`; write it as `enabled: true` below",
    "rails: {input: {timeout_s: soon}}": "rails.input.timeout_s: a number is expected, not the text 'soon'",
    "prompts: [{content: x}]": "prompts[0]: `task` is missing here",
    "prompts: [{task: a, messages: [{type: user}]}]": "prompts[0].messages[0]: `content` is missing here",
    "prompts: [{task: a, messages: [5]}]": "prompts[0].messages[0]: a mapping with keys such as `type`, `content`",
    "instructions: [{type: general}]": "instructions[0]: `content` is missing here",
    "colang_version: 2": 'colang_version: "2" is no Colang version; did you mean "2.x"?',
    "import_paths: shared": "1:1: error: import_paths: a list is expected, not the text 'shared'",
    "import_paths: [no/such/place]": "1:16: error: import_paths: Import path 'no/such/place' could not be resolved",
    "actions_server_url: localhost:8001": "'localhost:8001' is no address; write it as `http://host:port`",
    "flows: [tea]": "flows[0]: a flow is a mapping with a list of `elements`",
    "flows: [{elements: [{usr: tea}]}]": "flows[0]: `usr` is no element of a flow",
    "flows: [{elements: [{user: tea}, {if: '1 +', then: [bot: pour]}]}]": "1:9: error: flows[0]: ",
    "custom_data: x\nmine: 1": "1:1: error: custom_data: a mapping is expected, not the text 'x'",
}

WARNINGS = {
    "prompts: [{task: self_check_imput, content: x}]": "1:12: warning: prompts[0].task: no built-in task is called `self_check_imput`; did you mean `self_check_input`?",
    "tracing: {enabled: true}": "1:11: warning: tracing.enabled: `tracing` is not built yet",
    "metrics: {enabled: true}": "metrics.enabled: `metrics` is not built yet",
    "rails: {retrieval: {parallel: true}}": "rails.retrieval.parallel: retrieval rails of Colang 1.0 run one after",
    "knowledge_base: {folder: facts}": "knowledge_base.folder: there is no document (.md) below `facts`",
}


@pytest.mark.parametrize(("text", "complaint"), CASES.items())
def test_a_wrong_value_is_refused_where_it_stands(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "config.yml").write_text(text, encoding="utf-8")
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "tea.md").write_text("# Tea", encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        RailsConfig.from_path(str(tmp_path))
    assert f"{tmp_path}/config.yml:1:" in str(refused.value)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(("text", "remark"), WARNINGS.items())
def test_what_has_no_effect_is_remarked_on(tmp_path: Path, text: str, remark: str) -> None:
    (tmp_path / "config.yml").write_text(text, encoding="utf-8")
    config = RailsConfig.from_path(str(tmp_path))
    assert [remark in str(problem) for problem in config.problems] == [True]


def keys(schema: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key of the schema that is reached through mappings, as a path."""
    for name, field in schema.model_fields.items():
        yield (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, (*above, name))


JUNK: tuple[Any, ...] = (
    None,
    5,
    -1,
    True,
    "x",
    "",
    [],
    {},
    ["x"],
    [5],
    [None],
    [[1]],
    [{}],
    {"a": 1},
    {"a": None},
    {"enabled": "x"},
)


def loaded_or_refused(folder: str) -> str:
    try:
        config = RailsConfig.from_path(folder)
    except (ConfigurationError, ColangError) as error:
        return "refused with its file" if "other.yml" in str(error) else f"refused: {error}"
    return "loaded" if config.custom_data.get("mine") == 1 else "loaded, but what was there before is lost"


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(sorted(set(keys(RailsConfig)))), st.sampled_from(JUNK))
def test_whatever_stands_at_a_key_loads_or_is_refused_with_its_file(key: tuple[str, ...], value: Any) -> None:
    data = value
    for part in reversed(key):
        data = {part: data}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "kb").mkdir()
        (root / "kb" / "a.md").write_text("# A", encoding="utf-8")
        (root / "config.yml").write_text("models: []\nmine: 1\n", encoding="utf-8")
        (root / "other.yml").write_text(yaml.safe_dump(data), encoding="utf-8")
        assert loaded_or_refused(folder) in ("loaded", "refused with its file")
