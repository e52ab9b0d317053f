"""Expressions: trees become closures once; then evaluating one is calling it with the flow's surroundings.

Nothing here can reach Python's own objects: node types, functions, methods and attributes are allow-lists, and
every operation that makes something bigger than its operands is bounded (`colang.limits`).
"""

from colang.expressions.build import compile_expression, read_attribute
from colang.expressions.functions import FUNCTIONS
from colang.expressions.operators import check_size, to_text
from colang.expressions.scope import Compiled, Scope

__all__ = ["FUNCTIONS", "Compiled", "Scope", "check_size", "compile_expression", "read_attribute", "to_text"]
