"""Colang 2.x under its older paths."""
