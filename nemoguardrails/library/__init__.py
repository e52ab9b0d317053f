"""The built-in rails' actions, for code that calls or wraps them; flows are imported in Colang by the same path."""
