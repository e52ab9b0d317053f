"""What can go wrong in a Colang 2.x program."""

from colang import ColangRuntimeError, ColangSyntaxError, ColangValueError
from rails_engine.errors import LlmResponseError

__all__ = ["ColangRuntimeError", "ColangSyntaxError", "ColangValueError", "LlmResponseError"]
