"""What the formatter writes, the parser reads back as the same tree."""

from __future__ import annotations

from hypothesis import given, settings

from colang import tree
from colang.dialect import Dialect
from colang.format import format_expression, format_file
from colang.source import Source
from colang.v2 import parse
from tests.colang.programs import own_programs, shared_programs
from tests.colang.v2.strategies import EXPRESSIONS, FILES


def reread(file: tree.File) -> tree.File:
    return parse(Source("written", format_file(file)))


@given(EXPRESSIONS)
@settings(max_examples=150, deadline=None)
def test_expressions_survive(expression: tree.Expression) -> None:
    text = f"flow main\n  $x = {format_expression(expression)}\n"
    statement = parse(Source("written", text)).flows[0].body[0]
    assert isinstance(statement, tree.Assignment)
    assert statement.value == expression


@given(FILES)
@settings(max_examples=30, deadline=None)
def test_files_survive(file: tree.File) -> None:
    assert reread(file) == file


def test_whole_programs_survive() -> None:
    for program in (*own_programs(Dialect.TWO), *shared_programs("v2")):
        file = parse(program)
        assert reread(file) == file
        assert format_file(reread(file)) == format_file(file)


def test_a_program_is_written_in_its_canonical_form() -> None:
    text = '''\
# meta: exclude from llm
import core

@loop("side", -1)
flow greet $name $mood="fine, {$a + 1}" -> $done=False
  """Greets."""
  user said "hi" and (Tap() or $ref.Finished(x=1)) as $e
  $n = (1 + 2) * -$x ** 2
  if not $n in [1, 2]
    bot say "{$d["k"]}"
  elif $n == 1
    # nothing
  else
    ...
  when user said "x" or Stop()
    abort
  or when (flow it $a=1).Failed()
    return $n if $n else None
'''
    expected = text.replace("(Tap() or $ref.Finished(x=1)) as $e", "(Tap() or $ref.Finished(x=1))")
    expected = expected.replace('{$d["k"]}', "{$d['k']}").replace("(flow it $a=1)", "flow it(a=1)")
    written = text.replace(" as $e", "").replace('{$d["k"]}', '{$d[\\"k\\"]}')
    assert format_file(parse(Source("given", written))) == expected
