"""Reading Colang 2.x."""
