"""Programmable guardrails for conversational applications: the public names."""

__version__ = "0.1.0"
