"""Attempts to talk a model out of its rules."""
