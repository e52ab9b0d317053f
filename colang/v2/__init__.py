"""Colang 2.x: text to tree.

`grammar.lark` is the language and nothing else. `layout` filters the token stream, so that the grammar sees indented
blocks and the ends of statements. `expressions`, `groups` and `statements` build the frozen nodes of `colang.tree` from
what the grammar found; `strings` takes a string apart into text and `{expression}` parts, which are parsed once, here.
`mistakes` says what is wrong with a text that the grammar refuses, in the author's words.
"""

from colang.v2.expressions import Place, as_tree
from colang.v2.parser import parse, parse_all, parse_expression, parse_template

__all__ = ["Place", "as_tree", "parse", "parse_all", "parse_expression", "parse_template"]
