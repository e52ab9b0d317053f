"""Programmable guardrails for conversational applications: the public names."""
