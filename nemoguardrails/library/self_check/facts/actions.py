"""Answers held against their evidence."""

from rails_engine.library.actions import self_check_facts

__all__ = ["self_check_facts"]
