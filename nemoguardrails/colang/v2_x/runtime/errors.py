"""What can go wrong in a Colang 2.x program."""

from colang import ColangParsingError, ColangRuntimeError, ColangSyntaxError, ColangValueError
from rails_engine.errors import LlmResponseError

__all__ = [
    "ColangParsingError",
    "ColangRuntimeError",
    "ColangSyntaxError",
    "ColangValueError",
    "LlmResponseError",
]
