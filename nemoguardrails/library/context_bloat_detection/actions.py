"""Texts blown up to crowd out the rest."""

from rails_engine.library.actions import context_bloat_detection

__all__ = ["context_bloat_detection"]
