"""Reading Colang 1.0."""
