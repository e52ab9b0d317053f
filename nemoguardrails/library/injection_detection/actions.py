"""Code, SQL, templates and markup in answers."""

from rails_engine.library.actions import injection_detection

__all__ = ["injection_detection"]
