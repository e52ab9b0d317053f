"""Colang under its older paths."""
