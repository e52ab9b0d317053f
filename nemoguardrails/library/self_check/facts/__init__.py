"""Answers held against their evidence."""
