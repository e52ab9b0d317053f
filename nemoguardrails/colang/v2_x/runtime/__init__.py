"""The Colang 2.x runtime under its older paths."""
