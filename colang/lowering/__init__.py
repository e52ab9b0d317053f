"""Lowering: a flow's tree becomes a list of instructions, one construct a function.

`assembler` collects instructions and resolves labels; `specs` says what is sent or waited for; `groups` expands
and/or groups and `when`; `statements` does the rest; `flows` puts a flow together.
"""

from colang.lowering.flows import docstring_of, lower_flow, meta_of

__all__ = ["docstring_of", "lower_flow", "meta_of"]
