"""The grammar files, their tables and their builders agree."""

from __future__ import annotations

import json

from colang import grammars
from colang.v2 import expressions, groups, parser, statements
from colang.v2.layout import Indentation


def test_tables_are_made_from_the_grammar_as_it_is() -> None:
    saved = json.loads((parser.FOLDER / grammars.TABLES).read_text())
    grammar = (parser.FOLDER / grammars.GRAMMAR).read_text()
    assert saved["made_from"].endswith(grammars._made_from(grammar, parser.START).partition("sha256")[2])


def test_every_rule_has_a_builder_and_every_builder_a_rule() -> None:
    grammar = (parser.FOLDER / grammars.GRAMMAR).read_text()
    built = grammars.build_parser(grammar, Indentation(), parser.START)
    names = {rule.alias or rule.options.template_source or rule.origin.name for rule in built.rules}
    visible = {str(name) for name in names if not name.startswith("_")}
    builders = [expressions.RULES, groups.RULES, statements.RULES]
    claimed = set().union(*builders, expressions.PARTS, groups.PARTS, statements.PARTS)
    assert visible == claimed
