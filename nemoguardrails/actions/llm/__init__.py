"""Helpers for actions that ask models."""
