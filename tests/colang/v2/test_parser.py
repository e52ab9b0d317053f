"""What the parser promises beside the grammar: places, bounds, and a time that grows with the text alone."""

from __future__ import annotations

import pytest

from colang import tree
from colang.dialect import Dialect
from colang.errors import ColangSyntaxError
from colang.source import Source
from colang.v2 import parse, parse_all, parse_template
from colang.v2.mistakes import EXAMPLES
from tests.colang.programs import own_programs, shared_programs


def body(*lines: str) -> tuple[tree.Statement, ...]:
    """The statements of a flow that consists of `lines`."""
    return parse(Source("given", "\n".join(["flow main", *(f"  {line}" for line in lines)]))).flows[0].body


def test_reads_whole_programs() -> None:
    for program in (*own_programs(Dialect.TWO), *shared_programs("v2")):
        file = parse(program)
        assert file.flows or file.imports


def test_spans_reach_from_the_first_to_behind_the_last_character() -> None:
    source = Source("a.co", 'flow main\n  $x = "a {$b + 1}" # c\n  if $x\n    pass\n\n')
    first, second = parse(source).flows[0].body
    assert isinstance(first, tree.Assignment)
    assert isinstance(first.value, tree.Text)
    part = first.value.parts[1]
    assert isinstance(part, tree.Binary)
    assert (first.span.line, first.span.column, first.span.end_line, first.span.end_column) == (2, 3, 2, 20)
    assert (part.span.line, part.span.column, part.span.end_column) == (2, 12, 18)
    assert (second.span.line, second.span.column, second.span.end_line, second.span.end_column) == (
        3,
        3,
        4,
        9,
    )


def test_spans_inside_a_string_over_several_lines() -> None:
    (statement,) = body('$x = """a', '  b {$c}"""')
    assert isinstance(statement, tree.Assignment)
    assert isinstance(statement.value, tree.Text)
    part = statement.value.parts[1]
    assert isinstance(part, tree.Variable)
    assert (part.span.line, part.span.column) == (3, 8)


def test_a_flow_keeps_its_text_as_written() -> None:
    text = "@active\nflow main  $x\n  # first\n  pass\n  # behind\n\nflow other\n  pass\n"
    assert parse(Source("a.co", text)).flows[0].text == "flow main  $x\n  # first\n  pass"


def test_marked_files_keep_their_flows_out_of_prompts() -> None:
    assert parse(Source("a.co", "# meta: exclude from llm\nflow main\n  pass\n")).flows[0].excluded


def test_a_verb_is_implied_where_none_is_written() -> None:
    assert body("bot say 1") == body("await bot say 1")


def test_a_value_without_a_verb_is_a_function_call_where_it_reads_as_one() -> None:
    called, awaited = body("$x = f(1)", "$x = f 1")
    assert isinstance(called, tree.Assignment)
    assert isinstance(called.value, tree.Call)
    assert isinstance(awaited, tree.Assignment)
    assert isinstance(awaited.value, tree.Operation)


def test_decorators_keep_their_text_for_the_flow_to_fill_in() -> None:
    file = parse(Source("a.co", "@meta(user_action='said \"{$text}\"')\nflow f $text\n  pass\n"))
    (decorator,) = file.flows[0].decorators
    assert decorator.named == (("user_action", 'said "{$text}"'),)
    template = parse_template(str(decorator.named[0][1]))
    assert isinstance(template, tree.Text)
    assert [type(part) for part in template.parts] == [str, tree.Variable, str]


def test_of_a_long_line_the_part_around_the_mistake_is_shown() -> None:
    with pytest.raises(ColangSyntaxError) as caught:
        parse(Source("a.co", f"flow main\n  $x = {'1 + ' * 500}) + {'2 + ' * 500}3\n"))
    _, line, below = str(caught.value).split("\n")
    assert len(line) < 200
    assert line[below.index("^")] == ")"


def test_the_caret_stands_under_the_mistake() -> None:
    with pytest.raises(ColangSyntaxError) as caught:
        parse(Source("a.co", "flow main\n  if $a = 1\n    pass\n"))
    assert str(caught.value).splitlines() == [
        "a.co:2:9: `=` assigns; a comparison is written `==`",
        "    if $a = 1",
        "          ^",
    ]


@pytest.mark.parametrize("message", EXAMPLES)
def test_each_kind_of_mistake_is_named(message: str) -> None:
    for program in EXAMPLES[message]:
        with pytest.raises(ColangSyntaxError) as caught:
            parse(Source("a.co", program))
        assert caught.value.message == message


def test_reading_goes_on_behind_a_mistake() -> None:
    text = "flow a\n  if\nimport x\nflow b\n  pass\n@active\nflow c\n  $x =\n"
    file, errors = parse_all(Source("a.co", text))
    assert [flow.name for flow in file.flows] == ["b"]
    assert [entry.path for entry in file.imports] == ["x"]
    assert [error.span.line for error in errors] == [2, 8]
    assert file.flows[0].span.line == 4


@pytest.mark.parametrize(
    "text",
    [
        "flow main\n  $x = " + "(" * 2000 + "1" + ")" * 2000,
        "flow main\n  $x = " + "[" * 100_000,
        "flow main\n" + "".join("  " * depth + "if $x\n" for depth in range(1, 500)),
        "flow main\n  $x = " + "-" * 5000 + "1",
        "flow main\n  $x = " + "not " * 5000 + "1",
        "flow main\n  $x = 1" + " + 1" * 5000,
        "flow main\n  $x = 1" + " ** 1" * 5000,
        "flow main\n  $x = $y" + ".a" * 5000,
        "flow main\n  $x = 1" + " if 1 else 1" * 5000,
        "flow main\n  $x = " + "9" * 5000,
        "flow main\n  $x = '" + "{" * 2000 + "'",
        "flow main\n  await " + "(" * 2000 + "f",
    ],
    ids=lambda text: text[10:40],
)
def test_depth_is_bounded_with_an_error(text: str) -> None:
    if text.endswith("{'"):
        assert parse(Source("a.co", text)).flows  # a brace that is never closed is text
        return
    with pytest.raises(ColangSyntaxError, match=r"deep|too many digits|never closed"):
        parse(Source("a.co", text))


def test_a_long_file_is_read() -> None:
    flow = 'flow number {n} $x\n  match A(x={n}) or B()\n  $y = "{{$x}} and [1, 2]"\n  if $y == {n}\n    bot say "z"\n'
    text = "".join(flow.format(n=number) for number in range(500)).replace("number ", "number_")
    assert (
        len(parse(Source("a.co", text.replace("number_", "f ").replace("flow f ", "flow f_"))).flows) == 500
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1 + 2 * 3 - 4", "(1 + (2 * 3)) - 4"),
        ("2 ** -3 ** 4", "2 ** (-(3 ** 4))"),
        ("-2 ** 2", "-(2 ** 2)"),
        ("- -$a % +$b", "(-(-$a)) % (+$b)"),
        ("1 | 2 ^ 3 & 4 << 5 + 6", "1 | (2 ^ (3 & (4 << (5 + 6))))"),
        ("not $a == 1 and $b or $c", "((not ($a == 1)) and $b) or $c"),
        ("not not $a in $b", "not (not ($a in $b))"),
        ("1 if $a or $b else 2 if $c else 3", "1 if ($a or $b) else (2 if $c else 3)"),
        ("-$a.b[0].c(1)", "-((($a.b)[0]).c(1))"),
    ],
)
def test_what_binds_how_tightly(written: str, meant: str) -> None:
    assert body(f"$x = {written}") == body(f"$x = {meant}")
