"""From a Colang 2.x tree back to text, in one canonical form.

Parsing what this writes gives an equal tree, whatever the layout of the original was; comments are no part of a tree and
are lost. `expressions` knows where parentheses are needed, `groups` and `statements` write everything around them. It is
used to show flows that were put together while running, and it holds the parser to its word in tests.
"""

from colang.format.expressions import format_expression
from colang.format.statements import format_file, format_flow

__all__ = ["format_expression", "format_file", "format_flow"]
