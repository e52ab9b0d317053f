"""Llama Guard."""

from rails_engine.library.actions import llama_guard_check_input, llama_guard_check_output

__all__ = ["llama_guard_check_input", "llama_guard_check_output"]
