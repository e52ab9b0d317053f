"""Attempts to talk a model out of its rules."""

from rails_engine.library.actions import jailbreak_detection_heuristics, jailbreak_detection_model

__all__ = ["jailbreak_detection_heuristics", "jailbreak_detection_model"]
