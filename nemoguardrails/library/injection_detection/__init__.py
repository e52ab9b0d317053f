"""Code, SQL, templates and markup in answers."""
