"""Answers held against others to the same prompt."""
