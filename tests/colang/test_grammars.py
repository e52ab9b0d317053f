"""The grammar files, their tables and their builders agree."""

from __future__ import annotations

import json
from types import ModuleType

import pytest

from colang import grammars
from colang.layout import Indentation
from colang.v1 import builder as builder_1
from colang.v1 import parser as parser_1
from colang.v2 import expressions, groups, statements
from colang.v2 import parser as parser_2

CLAIMED = {
    parser_1: {*builder_1.RULES, *builder_1.PARTS},
    parser_2: {
        *(name for part in (expressions, groups, statements) for name in part.RULES),
        *(name for part in (expressions, groups, statements) for name in part.PARTS),
    },
}


@pytest.mark.parametrize("parser", CLAIMED, ids=lambda parser: parser.__name__)
def test_tables_are_made_from_the_grammar_as_it_is(parser: ModuleType) -> None:
    saved = json.loads((parser.FOLDER / grammars.TABLES).read_text())
    grammar = (parser.FOLDER / grammars.GRAMMAR).read_text()
    assert saved["made_from"].endswith(grammars._made_from(grammar, parser.START).partition("sha256")[2])


@pytest.mark.parametrize("parser", CLAIMED, ids=lambda parser: parser.__name__)
def test_every_rule_has_a_builder_and_every_builder_a_rule(parser: ModuleType) -> None:
    grammar = (parser.FOLDER / grammars.GRAMMAR).read_text()
    built = grammars.build_parser(grammar, Indentation(), parser.START)
    names = {str(rule.alias or rule.origin.name) for rule in built.rules}
    assert {name for name in names if not name.startswith("_")} == CLAIMED[parser]


def test_without_fitting_tables_the_parser_is_built_from_the_grammar() -> None:
    grammar = (parser_1.FOLDER / grammars.GRAMMAR).read_text()
    built = grammars.build_parser(grammar, Indentation(), parser_1.START)
    text = "define flow x\n  user a\n  bot b"
    assert built.parse(text, start="file") == parser_1.parser().parse(text, start="file")
